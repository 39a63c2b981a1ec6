// The page itself: signing in and out, and what its buttons do.

// cookies tells whether this browser keeps any; the session goes into one if so.
function cookies() {
  doc.cookie = 'holdline_t=1';
  var yes = doc.cookie.indexOf('holdline_t=1') >= 0;
  doc.cookie = 'holdline_t=; expires=Thu, 01 Jan 1970 00:00:00 GMT';
  return yes && !far;
}

function signedOut() {
  leaveTabs();
  me = null;
  session = {};
  convs = {};
  open = null;
  outbox = [];
  waiting = [];
  sending = false;
  if (asking) asking();
  asking = null;
  if (acking > 0) clearTimeout(acking);
  acking = 0;
  acks = {};
  names = {};
  wanted = {};
  drafts = {};
  each(doc.forms, function (f) { f.reset(); });
  clear($('list'));
  clear(rows);
  doc.title = 'Holdline';
  doc.body.className = '';
  show('home', false);
  show('talk', false);
  show('me', false);
  door();
  state('Signed out.');
}

// door asks who somebody is.
function door() {
  found();
  show('door', true);
  $('handle').focus();
  meet();
}

// meet asks what the server is like.
function meet() {
  call('GET', 'v1/server', null, function (status, body, retry) {
    if (status != 200) return wait(meet, 3, retry);
    show('join', body.sign_up == 'open');
    ticketAge = body.limits.ticket_seconds;
  });
}

function signedIn(user) {
  me = user;
  $('password').value = '';
  know(user);
  label($('name'), user.id);
  doc.body.className = '';
  show('door', false);
  show('home', true);
  show('me', true);
  state('');
  fit();
  openOutbox();
  join();
}

// knock enters, and not twice at once.
function knock(path) {
  if (state('\u2026')) enter(path, cookies());
}

// enter signs in or up. Where the cookie does not come back, which only trying
// tells, the session is a token that is gone with the page.
function enter(path, cookie) {
  var body = {handle: $('handle').value, password: $('password').value};
  if (cookie) body.cookie = true;
  call('POST', path, body, function (status, answer) {
    if (status == 403 && cookie && answer.field == 'cookie') return enter(path, false);
    if (status != 201) return problem(status, answer);
    session = cookie ? {form: answer.form_token} : {token: answer.token};
    if (cookie) return resume(function () { enter('v1/sessions', false); });
    signedIn(answer.user);
  });
}

function leave() {
  // Also what another tab has.
  if (keptKeys(outKey('')).length && !confirm('Some messages are not sent yet. Sign out and lose them?')) return;
  want('DELETE', 'v1/sessions/current', null, function () {
    each(keptKeys(outKey('')), function (key) { keep(key, null); });
    if (local) keep(tabKey('news'), null);
    signedOut();
  });
}

var starting = {};

// startTalk opens the direct conversation with one person, or makes a group.
function startTalk() {
  var handles = handlesIn('people'), title = $('group').value;
  if (!handles) return;
  var body = {kind: handles.length == 1 && !title ? 'direct' : 'group', members: handles};
  if (body.kind == 'group') {
    body.title = clean(title);
    // Asked again without an answer, it is the same group.
    if (starting.key != toJSON(body)) starting = {key: toJSON(body), id: 'g-' + now().toString(36) + random()};
    body.client_id = starting.id;
  }
  want('POST', conversations, body, function (answer) {
    $('people').value = $('group').value = '';
    starting = {};
    if (!convs[answer.id] || !convs[answer.id].list) put(answer);
    arrange();
    openTalk(answer.id);
  });
}

function submitText() {
  var text = field.value;
  if (!open || !/\S/.test(text)) return;
  field.value = '';
  quiet();
  send(open, text);
  field.focus();
}

// The address names a conversation by its id; anything else in it is ignored.
function openHash() {
  var m = /^#c=([0-9A-Za-z]{11})$/.exec(location.hash);
  if (!me) return;
  if (m && convs[m[1]]) {
    if (convs[m[1]] != open) openTalk(m[1]);
  } else if (!m && open) {
    closeTalk();
  }
}

// looked is for when somebody looks at the page again.
function looked() {
  blurred = false;
  seen();
  if (me && leading && !local && !stopPoll) poll();
}

function on(id, event, does) {
  $(id)['on' + event] = function () {
    does();
    return false;
  };
}

function begin() {
  var w = window;
  each(doc.getElementsByTagName('meta'), function (e) {
    if (e.name == 'holdline-server') server = e.content;
  });
  far = /^https?:/.test(server);
  openKept();
  on('door', 'submit', function () { knock('v1/sessions'); });
  on('join', 'click', function () { knock('v1/users'); });
  on('leave', 'click', leave);
  on('start', 'submit', startTalk);
  on('write', 'submit', submitText);
  on('back', 'click', closeTalk);
  on('add', 'click', function () { showAdding(!$('adding').offsetHeight); });
  on('adding', 'submit', addPeople);
  on('quit', 'click', quit);
  on('older', 'click', function () { if (open) load(open); });
  on('all', 'click', function () {
    shown += 100;
    arrange();
  });
  field.onkeydown = function (e) {
    e = e || window.event;
    if (e.keyCode != 13 || e.shiftKey) return true;
    submitText();
    return false;
  };
  log.onscroll = function () {
    pinned = atEnd();
    seen();
  };
  w.onresize = fit;
  w.onhashchange = openHash;
  w.onfocus = looked;
  w.onblur = function () { blurred = true; };
  // What becomes visible without the focus, as when another window is taken away, is
  // not looked at yet. Whoever tells of this has hasFocus.
  doc.onvisibilitychange = function () { if (doc.hasFocus()) looked(); };
  w.onstorage = doc.onstorage = function () { if (me && local) look(); };
  w.onunload = w.onpagehide = leaveTabs;
  // Back, from where the browser had put it. It is told at the first time too.
  w.onpageshow = function () { if (me && !leaseTimer && !syncing) join(); };
  resume(door);
}

// resume goes on with the session of the cookie; without one, by what is otherwise.
function resume(otherwise) {
  call('GET', 'v1/me', null, function (status, body, retry) {
    if (status == 200) {
      session = {form: body.form_token};
      return signedIn(body.user);
    }
    session = {};
    if (status == 401) return otherwise();
    lost(status, body);
    wait(function () { resume(otherwise); }, ++failures, retry);
  });
}

begin();
