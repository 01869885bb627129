export { ScopedValue } from './scoped-value.js';
