#!/usr/bin/env node
// A file of its own, not of dist/: npm links it when the package is installed, before the first build of the repository.
import '../dist/cli/index.js';
