// The page where a person signs in and chooses scopes. Its form: login, scope (repeated), grant=new|shared, decision=approve|deny.
import { text } from 'node:stream/consumers';

export const SCOPES = {
  openid: 'Know who you are',
  offline_access: 'Keep access while you are away',
  profile: 'See your name',
  email: 'See your e-mail address',
  'files.read': 'Read your files',
  'files.write': 'Change your files',
  'mail.read': 'Read your mail',
  'crm.read': 'Read your customers',
};
const ALWAYS = 'offline_access'; // no real provider has a checkbox for it

export function interaction(provider) {
  const grants = new Map(); // of each account and client the latest, for grant=shared
  return async (context, next) => {
    if (!/^\/interaction\/[^/]+$/.test(context.path)) return next();
    const details = await provider.interactionDetails(context.req, context.res);
    if (context.method === 'GET') {
      const client = await provider.Client.find(details.params.client_id);
      context.body = page(client.clientName, asked(details), details.session?.accountId);
      return;
    }
    const form = new URLSearchParams(await text(context.req));
    const result = form.get('decision') === 'approve'
      ? await approved(provider, grants, details, form)
      : { error: 'access_denied', error_description: 'The person said no' };
    context.respond = false; // interactionFinished answers
    await provider.interactionFinished(context.req, context.res, result, { mergeWithLastSubmission: false });
  };
}

function asked(details) {
  return (details.params.scope ?? '').split(' ').filter((scope) => scope in SCOPES);
}

async function approved(provider, grants, details, form) {
  const accountId = details.session?.accountId ?? `id:${form.get('login')}`;
  const key = `${accountId} ${details.params.client_id}`;
  const shared = form.get('grant') === 'shared' && await provider.Grant.find(grants.get(key) ?? '');
  const grant = shared || new provider.Grant({ accountId, clientId: details.params.client_id });
  decide(grant, asked(details), new Set([...form.getAll('scope'), ALWAYS]));
  const grantId = await grant.save();
  grants.set(key, grantId);
  return { login: { accountId }, consent: { grantId } };
}

function decide(grant, scopes, chosen) {
  const rejected = grant.getRejectedOIDCScope().split(' ').filter((scope) => scope && !chosen.has(scope));
  const refused = new Set([...rejected, ...scopes.filter((scope) => !chosen.has(scope))]);
  grant.addOIDCScope(scopes.filter((scope) => chosen.has(scope)).join(' '));
  grant.rejected = {}; // what was once refused can be allowed later: the library would keep it refused
  if (refused.size) grant.rejectOIDCScope([...refused].join(' '));
}

function page(clientName, scopes, accountId) {
  const boxes = scopes.filter((scope) => scope !== ALWAYS).map((scope) => `
      <label><input type="checkbox" name="scope" value="${scope}" checked> ${SCOPES[scope]} <code>${scope}</code></label>`);
  const who = accountId
    ? `<p>Signed in as <strong>${escaped(accountId.slice('id:'.length))}</strong></p>`
    : '<p><label>E-mail address <input type="email" name="login" required autocomplete="username"></label></p>';
  return `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>Sign in - OpenID provider</title><style>
  body { font: 16px/1.5 system-ui, sans-serif; background: #f3f4f6; color: #111827; }
  main { max-width: 30rem; margin: 4rem auto; padding: 2rem; background: #fff; border-radius: 8px; }
  h1 { font-size: 1.25rem; } label { display: block; } code { color: #4b5563; }
  input[type=email] { display: block; width: 100%; box-sizing: border-box; padding: .5rem; font: inherit; }
  fieldset { margin: 1rem 0; border: 1px solid #d1d5db; } button { padding: .5rem 1.5rem; font: inherit; }
</style></head>
<body><main>
  <h1>${escaped(clientName)} asks for access to your account</h1>
  <form method="post">
    ${who}
    <fieldset><legend>It wants to</legend>${boxes.join('')}
    </fieldset>
    ${scopes.includes(ALWAYS) ? '<p>It keeps this access while you are away.</p>' : ''}
    <button name="decision" value="approve">Approve</button>
    <button name="decision" value="deny" formnovalidate>Deny</button>
  </form>
</main></body>
</html>
`;
}

function escaped(value) {
  return String(value).replace(/[&<>"']/g, (sign) => `&#${sign.charCodeAt(0)};`);
}
