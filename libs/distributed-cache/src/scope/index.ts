export { captureContext, type RunInContext, ScopedValue } from './scoped-value.js';
