export { captureContext, type RunInContext, FollowedScope, ScopedValue } from './scoped-value.js';
