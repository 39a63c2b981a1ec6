// Several tabs of one user: the one that has the lease polls, and hands each
// answer on to the others through localStorage.

var tab = random();
var leading = false;
var told = 0;
var syncing = null;
var leaseTimer = 0;
// In milliseconds.
var leaseTime = 8000;

function tabKey(name) {
  return 'holdline.' + name + '.' + me.id;
}

function readKey(name) {
  return attempt(function () { return fromJSON(kept(tabKey(name))); }) || {};
}

// join follows the inbox, in the lead or behind another tab.
function join() {
  told = local ? readKey('news').n || 0 : 0;
  syncing = [];
  connect(caughtUp);
}

// caughtUp goes on behind a snapshot, with what was told while it came.
function caughtUp() {
  var pages = syncing;
  syncing = null;
  each(pages, apply);
  if (!leaseTimer) leaseTimer = setInterval(look, 2000);
  look();
}

// look renews the lease, or takes it when nobody has it, or follows.
function look() {
  var lease, t = now();
  if (!me) return;
  if (!local) {
    leading = true;
    return goOn();
  }
  follow();
  lease = readKey('lead');
  if (lease.tab && lease.tab != tab && t < lease.until && lease.until < t + 2 * leaseTime) {
    if (leading) hangUp();
    leading = false;
    return;
  }
  // Not each time: Internet Explorer tells a tab of its own writing, and then it looks again.
  if (lease.tab != tab || lease.until < t + 0.75 * leaseTime) keep(tabKey('lead'), toJSON({tab: tab, until: t + leaseTime}));
  if (leading) return goOn();
  // Two may have written; the later one has it.
  setTimeout(function () {
    if (!me || leading || readKey('lead').tab != tab) return;
    leading = true;
    // Whoever led before may have gone with something unsent.
    openOutbox();
    goOn();
  }, 100 + 100 * Math.random());
}

function goOn() {
  if (!syncing && !pollTimer) poll();
}

function publish(page) {
  if (!local) return;
  told = (readKey('news').n || 0) + 1;
  keep(tabKey('news'), toJSON({n: told, tab: tab, cursor: page.cursor, page: page}));
  // Too much for the store: the others find their way by the number.
  if (readKey('news').n != told) keep(tabKey('news'), toJSON({n: told}));
  // What people wrote does not stay. Who has missed it sees by the number.
  setTimeout(forget, 5000);
}

// forget takes back what this tab has handed on. Others leave it alone: they may not
// have seen yet that there is something newer.
function forget() {
  if (me && readKey('news').tab == tab) keep(tabKey('news'), toJSON({n: told}));
}

function follow() {
  var news = readKey('news'), n = news.n || 0;
  if (n == told || news.tab == tab) return;
  if (news.page && n == told + 1) {
    told = n;
    if (syncing) return syncing.push(news.page);
    apply(news.page);
    cursor = news.cursor;
    return;
  }
  // Something was missed; perhaps also by the snapshot that is on its way.
  if (syncing) return;
  told = n;
  syncing = [];
  connect(caughtUp);
}

function leaveTabs() {
  hangUp();
  forget();
  clearInterval(leaseTimer);
  leaseTimer = 0;
  if (me && leading && local) keep(tabKey('lead'), null);
  leading = false;
}
