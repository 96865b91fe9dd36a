// The rules of decisions, written plainly from the documents: the order of the
// checks, short-lived tokens, and limits.
//
// What was spent is in a ledger apart from the state, because only decisions spend.
// Rates refill so slowly here (a unit comes back after 41 days or more) that
// nothing comes back within a run: what is spent is a number of units, and times are
// compared in days, raised to whole ones.  The days of a unit are prime numbers
// above every burst, so that no two rates ever wait for the same time.
'use strict';
const { anyCovers, permissionsOf, standingBy } = require('./rights.js');

const DAY = 24 * 3600 * 1000;

// --- Who is proved, and may come in ------------------------------------------------

const within = (address, networks) => networks.filter((n) => address !== null && n.contains.includes(address));

// The reason up to the scope, for a key whose secret or token is proved.
const standing = (state, key, address, networks) => standingBy(state, key,
  (entries) => within(address, networks.filter((n) => entries.includes(n.text))).length > 0);

// The most specific entry of the key's list.
const matchingNetwork = (key, address, networks) =>
  within(address, networks.filter((n) => key.list.includes(n.text))).sort((a, b) => b.bits - a.bits)[0]?.text ?? null;

// What proves the key: a secret by its version (0: another text) or a token.
function proof(state, request) {
  const key = state.keys[request.key];
  if (request.token) {
    const { token } = request;
    if (request.isForged) return 'token_invalid';
    if (token.hours === 0) return 'token_expired';
    return key?.secrets.some((s) => s.version === token.version && s.days !== 0) ? 'ok' : 'token_revoked';
  }
  if (!key) return 'unknown_key';
  const secret = key.secrets.find((s) => s.version === request.version);
  if (!secret) return 'wrong_secret';
  return secret.days === 0 ? 'secret_expired' : 'ok';
}

// Whether the key itself has a scope there: in a project what its roles permit in
// projects, and in that project.
function keyAllows(state, key, scope, project) {
  if (project && state.projects[project]?.organization !== key.organization) return false;
  return key.grants.some((grant) => {
    const permissions = permissionsOf(state, grant);
    return project ? (!grant.project || grant.project === project) && anyCovers(permissions.project, scope)
      : !grant.project && anyCovers(permissions.organization, scope);
  });
}

// --- Limits ------------------------------------------------------------------------

// All limits that apply to the scopes (null: all that the key has), in the order of doc/reference.md; where it
// says none (patterns, and periods), in that of their names.
function applicable(state, key, scopes) {
  const organization = state.organizations[key.organization];
  const own = (kind) => key.limits.find((l) => l.kind === kind && l.scope === null);
  const ofAll = (kind) => organization.limits.find((l) => l.kind === kind);
  const ofKey = { owner: String(key.limitsId) };
  const found = [];
  const add = (limit, name, bucket, more) => { if (limit) found.push({ ...limit, name, bucket, ...more }); };
  key.limits.filter((l) => l.scope !== null && (!scopes || scopes.some((s) => anyCovers([l.scope], s))))
    .sort((a, b) => (a.scope < b.scope ? -1 : 1))
    .forEach((l) => add(l, l.scope, `pattern ${key.limitsId} ${l.id}`, ofKey));
  const fallback = ofAll('each_key');
  add(own('rate') ?? fallback, own('rate') ? 'key' : 'each_key', `key ${key.limitsId}`,
    { ...ofKey, lineage: { own: own('rate')?.id ?? 0, fallback: fallback?.id ?? 0 } });
  add(ofAll('rate'), 'organization', `organization ${ofAll('rate')?.id}`, { owner: `rate ${ofAll('rate')?.id}` });
  const periods = ['day', 'hour', 'month', 'week'];
  periods.forEach((p) => add(own(p), p, `${p} of key ${key.limitsId}`, { ...ofKey, isQuota: true }));
  periods.forEach((p) => add(ofAll(p), `organization ${p}`, `${p} of ${key.organization}`, { owner: key.organization, isQuota: true }));
  add(own('ever'), 'credits', `credits of key ${key.limitsId}`, { ...ofKey, isQuota: true });
  add(ofAll('ever'), 'organization credits', `credits of ${key.organization}`, { owner: key.organization, isQuota: true });
  return found;
}

// What was spent goes on under the same limit, and from the key's own to its
// organization's default and back; else the limit is fresh.
function goesOn(spent, lineage) {
  if (!lineage) return true;
  const { own, fallback } = spent.lineage;
  return (own && own === lineage.own) || (fallback && fallback === lineage.fallback) || !own !== !lineage.own;
}

// A rate that was lowered cuts what was spent.
function spentOf(ledger, limit) {
  const spent = ledger.get(limit.bucket);
  if (!spent || limit.isQuota) return spent?.units ?? 0;
  return goesOn(spent, limit.lineage) ? Math.min(spent.units, limit.burst) : 0;
}

function endOf(kind, now) {
  const at = new Date(now);
  const [year, month, date] = [at.getUTCFullYear(), at.getUTCMonth(), at.getUTCDate()];
  if (kind === 'month') return Date.UTC(year, month + 1, 1);
  if (kind === 'week') return Date.UTC(year, month, date + 7 - (at.getUTCDay() + 6) % 7);
  return Infinity;
}

// How a limit answers to a cost; wait and whole are days.
function judge(ledger, limit, cost) {
  const units = spentOf(ledger, limit);
  if (limit.isQuota) {
    const rest = Math.max(0, limit.amount - units);
    const end = (endOf(limit.kind, Date.now()) - Date.now()) / DAY;
    return { limit, units, rest, passes: cost === 0 || cost <= rest, wait: cost > limit.amount ? Infinity : end, whole: end };
  }
  const unit = limit.days / limit.requests;
  return { limit, units, rest: Math.max(0, limit.burst - units), passes: cost === 0 || units + cost <= limit.burst,
    wait: cost > limit.burst ? Infinity : (units + cost - limit.burst) * unit, whole: units * unit };
}

const whole = (answer) => (answer.limit.isQuota ? (answer.whole === Infinity ? null : 'end') : answer.whole);

// All are charged, or none.  One limit answers for all.
function chargeLimits(state, ledger, key, scopes, cost) {
  const answers = applicable(state, key, scopes).map((limit) => judge(ledger, limit, cost));
  if (!answers.length) return { reason: 'ok' };
  const note = ({ limit, units }, spent) => ledger.set(limit.bucket, { units: units + spent, lineage: limit.lineage, owner: limit.owner });
  // What a change has cut is cut for good by the next decision, whatever that says.
  answers.filter((a) => !a.limit.isQuota && ledger.has(a.limit.bucket)).forEach((a) => note(a, 0));
  const denying = answers.filter((a) => !a.passes);
  if (denying.length) {
    // The longest wait; of equals a quota before a rate, then the earlier one.
    const first = denying.reduce((a, b) => (b.wait > a.wait || (b.wait === a.wait && b.limit.isQuota && !a.limit.isQuota) ? b : a));
    const wait = first.wait === Infinity ? null : first.limit.isQuota ? 'end' : first.wait;
    return { reason: first.limit.isQuota ? 'quota_exceeded' : 'rate_limited', name: first.limit.name, rest: first.rest, wait, whole: whole(first) };
  }
  const after = answers.map((answer) => {
    if (cost > 0) note(answer, cost);
    return judge(ledger, answer.limit, 0);
  });
  // The least that remains; of equals the one that takes longest to be whole.
  const least = after.reduce((a, b) => (b.rest < a.rest || (b.rest === a.rest && b.whole > a.whole) ? b : a));
  return { reason: 'ok', name: least.limit.name, rest: least.rest, wait: null, whole: whole(least) };
}

const isOfOrganization = (limit) => limit.name.startsWith('organization');

// What view limits says of a key: {name: what remains}.
function keyLimits(state, ledger, key) {
  return Object.fromEntries(applicable(state, key, null).filter((limit) => !isOfOrganization(limit))
    .map((limit) => [limit.name, judge(ledger, limit, 0).rest]));
}

// --- A decision --------------------------------------------------------------------

// request: {key, version or token, isForged, address, scopes, project, cost}.  The
// reason without limits.
function judgeRequest(state, request, networks) {
  const { scopes, project, token } = request;
  const proved = proof(state, request);
  if (proved !== 'ok') return proved;
  const key = state.keys[request.key];
  const stands = standing(state, key, request.address, networks);
  if (stands !== 'ok') return stands;
  if (!scopes.every((scope) => keyAllows(state, key, scope, project))) return 'scope_denied';
  if (token?.scopes && !scopes.every((scope) => anyCovers(token.scopes, scope))) return 'token_scope_denied';
  return token?.project && token.project !== project ? 'token_project_denied' : 'ok';
}

function decide(state, ledger, request, networks) {
  const reason = judgeRequest(state, request, networks);
  if (proof(state, request) !== 'ok') return { reason };
  const key = state.keys[request.key];
  const answer = { reason, key, network: matchingNetwork(key, request.address, networks) };
  return reason === 'ok' ? Object.assign(answer, chargeLimits(state, ledger, key, request.scopes, request.cost)) : answer;
}

module.exports = { decide, endOf, keyLimits, standing };
