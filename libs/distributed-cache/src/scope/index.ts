export { FollowedScope, ScopedValue } from './scoped-value.js';
