/** Plain webpack: everything of an entry in one file, as for production. */
const path = require('node:path');
const { IgnorePlugin } = require('webpack');

/** Nest loads these only if they are installed. */
const optional = /^(@nestjs\/(microservices|websockets)|class-validator|class-transformer)(\/|$)/;

module.exports = {
  mode: 'production',
  target: 'node',
  entry: { webpack: './src/main.ts', 'webpack.state': './one-state.mjs' },
  devtool: false,
  resolve: { extensions: ['.ts', '.js'] },
  module: {
    rules: [
      { test: /\.ts$/, loader: 'ts-loader', options: { transpileOnly: true, configFile: 'tsconfig.build.json' } },
    ],
  },
  plugins: [new IgnorePlugin({ resourceRegExp: optional })],
  output: { path: path.join(__dirname, 'bundles'), filename: '[name].cjs' },
};
