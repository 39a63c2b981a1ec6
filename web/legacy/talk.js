// Conversations: what is known of them, and the one that is open.

var me = null;
var convs = {};
var open = null;
var blurred = false;
var acks = {};
var acking = 0;
var conversations = 'v1/conversations';

// put takes a conversation as the server tells it.
function put(c) {
  var k = convs[c.id] || (convs[c.id] = {id: c.id}), last = c.last_message || {}, early = k.early || [], i;
  // Events may have told more already.
  if (c.last_seq < k.last) return k;
  k.kind = c.kind;
  k.title = c.title;
  k.last = c.last_seq;
  k.read = c.read_seq;
  k.unread = c.unread;
  k.at = last.accepted_at || c.created_at;
  k.preview = last.text || '';
  k.marks = k.marks || {};
  k.list = k.list || [];
  k.early = null;
  if (k.kind == 'direct' && !k.partner) {
    if (c.creator_id != me.id) k.partner = c.creator_id;
    else people(k);
  }
  paint(k);
  // What came while it was being asked for.
  for (i = 0; i < early.length; i++) take(early[i]);
  return k;
}

function pathOf(id, rest) {
  return conversations + '/' + id + rest;
}

function people(k) {
  ask(k == open, 'GET', pathOf(k.id, '/members?limit=1000'), null, function (status, body) {
    var i, u;
    if (status != 200) return;
    k.people = body.more ? 0 : body.members.length;
    for (i = 0; i < body.members.length; i++) {
      u = body.members[i].user;
      know(u);
      if (k.kind == 'direct' && u.id != me.id) k.partner = u.id;
    }
    paint(k);
    ticks(k);
  });
}

// refresh asks for a conversation anew: one that is not known yet, or whose unread
// messages have to be counted again.
function refresh(id) {
  var k = convs[id];
  if (!k) k = convs[id] = {id: id, early: []};
  if (k.asked) return;
  k.asked = true;
  ask(false, 'GET', pathOf(id, ''), null, function (status, body, retry) {
    k.asked = false;
    if (convs[id] != k) return;
    if (status == 200) put(body);
    else if (status == 404) gone(k);
    else wait(function () { if (convs[id] == k) refresh(id); }, 3, retry);
    arrange();
  });
}

// take takes an event of a log. What the snapshot or an earlier answer has
// shown is passed over.
function take(e) {
  var k = convs[e.conversation_id], i, c;
  if (!k) {
    if (e.type != 'created') return refresh(e.conversation_id);
    c = {id: e.conversation_id, kind: e.kind, title: e.title || '', last_seq: e.seq, read_seq: 0, unread: 0, created_at: e.accepted_at, creator_id: e.sender_id};
    k = put(c);
    k.people = e.members ? e.members.length : 0;
    return;
  }
  if (k.early) return k.early.push(e);
  if (e.seq <= k.last) return;
  c = k.read >= k.last;
  k.last = e.through_seq || e.seq;
  if (e.accepted_at) k.at = e.accepted_at;
  if (e.type == 'message') {
    k.preview = e.text;
    if (e.sender_id != me.id) {
      k.unread++;
    } else {
      settle(e.client_id);
      if (c) k.read = k.last;
    }
    insert(k, e);
  } else if (e.type == 'title') {
    k.title = e.title || '';
  } else if (e.type == 'member') {
    i = e.action == 'added' ? 1 : e.action == 'role' ? 0 : -1;
    if (k.people) k.people += i;
    if (e.user_id == me.id && i < 0) return gone(k);
  }
  paint(k);
}

// gone forgets a conversation that we are no longer in.
function gone(k) {
  delete convs[k.id];
  if (k == open) {
    closeTalk();
    state('You are no longer in that conversation.');
  }
}

// mark takes a member's watermarks; they never go back.
function mark(r) {
  var k = convs[r.conversation_id], m;
  if (!k || !k.marks) return;
  if (r.user_id == me.id) {
    if (r.read_seq <= k.read) return;
    k.read = r.read_seq;
    if (k.read >= k.last) k.unread = 0;
    else if (k.unread) refresh(k.id);
    return paint(k);
  }
  m = k.marks[r.user_id] || (k.marks[r.user_id] = {delivered: 0, read: 0});
  m.delivered = Math.max(m.delivered, r.delivered_seq);
  m.read = Math.max(m.read, r.read_seq);
  ticks(k);
}

function ticks(k) {
  for (var i = 0; k == open && i < k.list.length; i++) if (k.list[i].tick) tick(k, k.list[i]);
}

// insert puts a message into its place; one that is there already stays as it is.
function insert(k, m) {
  var i = k.list.length, end;
  if (!k.loaded) return;
  while (i && k.list[i - 1].seq > m.seq) i--;
  if (i && k.list[i - 1].seq == m.seq) return;
  k.list.splice(i, 0, m);
  if (k != open) {
    if (k.list.length > 200 && k.list.shift()) k.more = true;
    return;
  }
  end = pinned;
  m.row = rowOf(m);
  $('messages').insertBefore(m.row, i + 1 < k.list.length ? k.list[i + 1].row : firstUnsent());
  if (m.tick) tick(k, m);
  if (end) toEnd();
}

// load gets a page of history: the newest, or what is before the oldest there is.
function load(k) {
  var before = k.list.length ? '&before=' + k.list[0].seq : '';
  ask(true, 'GET', pathOf(k.id, '/messages?limit=30' + before), null, function (status, body) {
    var i, log = $('log'), height = log.scrollHeight, top = log.scrollTop;
    if (convs[k.id] != k) return;
    if (status != 200) {
      problem(status, body);
      if (!k.loaded && k == open) setTimeout(function () { if (k == open && !k.loaded) load(k); }, 5000);
      return;
    }
    k.loaded = true;
    k.more = body.more;
    for (i = 0; i < body.messages.length; i++) {
      settle(body.messages[i].client_id);
      insert(k, body.messages[i]);
    }
    if (k == open) {
      show('older', k.more);
      if (before) log.scrollTop = top + log.scrollHeight - height;
      else toEnd();
      seen();
    }
  });
}

function openTalk(id) {
  var k = convs[id], before = open, list = $('messages'), i;
  if (!k || !k.row) return;
  open = k;
  if (before != k) {
    if (before) {
      before.draft = $('text').value;
      paint(before);
    }
    $('text').value = k.draft || '';
  }
  document.body.className = 'open';
  show('talk', true);
  show('older', k.loaded && k.more);
  if (location.hash != '#c=' + id) location.hash = 'c=' + id;
  while (list.firstChild) list.removeChild(list.firstChild);
  for (i = 0; i < k.list.length; i++) list.appendChild(k.list[i].row = rowOf(k.list[i]));
  showUnsent(k);
  paint(k);
  ticks(k);
  fit();
  toEnd();
  if (!k.loaded) load(k);
  if (!k.people) people(k);
  $('text').focus();
  seen();
}

function closeTalk() {
  var k = open;
  open = null;
  if (k) k.draft = $('text').value;
  document.body.className = '';
  show('talk', false);
  if (k && k.row) {
    paint(k);
    attempt(function () { k.link.focus(); });
  }
  if (location.hash.length > 1) location.hash = '';
}

// seen marks as read what is open, before the reader's eyes, and at its end.
function seen() {
  var k = open;
  if (!k || !k.loaded || blurred || document.hidden || k.read >= k.last || !atEnd()) return;
  k.read = k.last;
  k.unread = 0;
  acks[k.id] = k.read;
  paint(k);
  arrange();
  if (!acking) acking = setTimeout(acknowledge, 500);
}

function acknowledge() {
  var sent = acks, failures = 0;
  acks = {};
  acking = -1;
  function again() {
    ask(false, 'POST', 'v1/acks', {read: sent}, function (status) {
      var id;
      if (!status || status == 429 || status > 499) return wait(again, ++failures);
      acking = 0;
      for (id in acks) if (has(acks, id)) acking = acking || setTimeout(acknowledge, 500);
    });
  }
  again();
}
