// What tests arrange for the token endpoint: failures, delays, changed answers, calls that are held.
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';

/** Lets calls through, or holds them at one place until it is opened. */
class Gate {
  #at = null;
  #held = [];
  #watchers = [];

  close(at) {
    this.#at = at;
  }

  /** Frees the calls that are held; with `drop` their connections break instead. */
  open(drop) {
    this.#at = null;
    for (const free of this.#held.splice(0)) free(drop);
  }

  /** Resolves to whether the call is to be dropped. */
  pass(at) {
    if (this.#at !== at) return Promise.resolve(false);
    return new Promise((free) => {
      this.#held.push(free);
      this.#watchers = this.#watchers.filter((watcher) => !watcher());
    });
  }

  /** Resolves once so many calls are held. */
  reached(count) {
    return new Promise((resolve) => {
      const watcher = () => this.#held.length >= count && (resolve(), true);
      if (!watcher()) this.#watchers.push(watcher);
    });
  }
}

export class TokenTroubles {
  gate = new Gate();

  constructor(calls) {
    this.calls = calls;
    this.reset();
  }

  reset() {
    this.delay = 0;
    this.failures = [];
    this.patches = [];
    this.gate.open(true);
  }

  async around(context, next) {
    if (context.path !== '/token' || context.method !== 'POST') return next();
    if (await this.gate.pass('before')) return drop(context);
    if (this.delay) await sleep(this.delay);
    const failure = this.failures.shift();
    const grantType = failure ? await fail(context, failure) : await this.#handle(context, next);
    this.calls.push({ grant_type: grantType, status: context.status, error: context.body?.error ?? '' });
    if (await this.gate.pass('after')) drop(context);
  }

  async #handle(context, next) {
    await next();
    if (context.status === 200 && this.patches.length) context.body = patched(context.body, this.patches.shift());
    return context.oidc?.params?.grant_type ?? '';
  }
}

/** Answers in the provider's place, which never sees the call. */
async function fail(context, { status, body, retry_after: retryAfter }) {
  const form = new URLSearchParams(await text(context.req));
  context.status = status;
  context.body = body;
  if (retryAfter !== null) context.set('Retry-After', String(retryAfter));
  return form.get('grant_type') ?? '';
}

function patched(body, patch) {
  return Object.fromEntries(Object.entries({ ...body, ...patch }).filter(([key]) => patch[key] !== null));
}

function drop(context) {
  context.respond = false;
  context.req.socket.destroy();
}
