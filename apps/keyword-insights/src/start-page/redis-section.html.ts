import { DEMO_HEADER } from '../own-redis/own-redis.guard.js';

/** For a demo that has started its own Redis. */
export const OWN_REDIS = `      <section aria-labelledby="redis-heading" id="redis" data-header="${DEMO_HEADER}">
        <h2 id="redis-heading">Redis of the demo</h2>
        <p id="redis-state" role="status" aria-live="polite">Not known yet.</p>
        <p class="buttons">
          <button type="button" id="freeze" disabled>Freeze Redis</button>
          <button type="button" id="kill" disabled>Kill Redis</button>
        </p>
        <p id="redis-error" role="alert"></p>
        <p class="note">L1 serves while Redis is frozen or killed. After a thaw L1 does not trust its entries: the next answer comes
          from Redis. After a kill Redis is empty.</p>
        <details>
          <summary>The same from a terminal</summary>
          <p>The demo has started this Redis itself, so the routes below exist. A request needs the header
            <code>${DEMO_HEADER}</code> and must come from this machine.</p>
          <pre tabindex="0" aria-label="Command"><code>curl -X POST -H '${DEMO_HEADER}: 1' <span data-origin>http://localhost:3000</span>/demo/redis/freeze</code></pre>
          <dl>
            <dt><code>POST /demo/redis/freeze</code></dt>
            <dd>Stops the process with <code>SIGSTOP</code>: connections stay open, and no command is answered.</dd>
            <dt><code>POST /demo/redis/thaw</code></dt>
            <dd>Lets the frozen process continue.</dd>
            <dt><code>POST /demo/redis/kill</code></dt>
            <dd>Ends the process with <code>SIGKILL</code>: connections are refused.</dd>
            <dt><code>POST /demo/redis/start</code></dt>
            <dd>Starts Redis again, empty, on the same port.</dd>
            <dt><code>GET /demo/redis</code></dt>
            <dd>Shows its state, its address and its process id.</dd>
          </dl>
        </details>
      </section>`;

/** For a demo that uses another Redis, or none. */
export const NO_OWN_REDIS = `      <section aria-labelledby="redis-heading">
        <h2 id="redis-heading">Redis of the demo</h2>
        <p>The demo has started no Redis, so this page has no buttons that freeze or kill it. <code>npm start</code> starts one if
          <code>redis-server</code> is installed, no Redis answers at <code>localhost:6379</code>, and no variable
          <code>REDIS_*</code> is set.</p>
      </section>`;
