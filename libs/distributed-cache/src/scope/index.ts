export { FollowedScope } from './followed-scope.js';
export { ScopedValue } from './scoped-value.js';
