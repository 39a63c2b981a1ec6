// Messages that the server has not accepted yet, oldest first. Each is sent under
// its client_id until there is a certain answer, so that it is stored once.

var outbox = [];
var sending = false;
var outFailures = 0;
var outTimer = 0;

function outKey(id) {
  return 'holdline.out.' + me.id + '.' + id;
}

// Halves of surrogate pairs, which old browsers can cut, and NUL are refused.
function clean(text) {
  return text.replace(/[\ud800-\udbff][\udc00-\udfff]|[\ud800-\udfff]|\x00/g, function (c) {
    return c.length == 2 ? c : '\ufffd';
  });
}

function send(k, text) {
  var m = {id: now().toString(36) + '-' + random() + random(), to: k.id, text: clean(text), at: now()};
  keep(outKey(m.id), toJSON({to: m.to, text: m.text, at: m.at}));
  outbox.push(m);
  if (k == open) {
    addUnsent(m);
    toEnd();
  }
  pump();
}

// openOutbox takes up what another page has left, or one that is still there:
// sent twice, a message is stored once.
function openOutbox() {
  each(keptKeys(outKey('')), function (key) {
    attempt(function () {
      var m = fromJSON(kept(key)), ours;
      m.id = key.substring(outKey('').length);
      each(outbox, function (o) { ours = ours || o.id == m.id; });
      if (ours || !/^[\w\-]+$/.test(m.id) || !/^\w+$/.test(m.to) || typeof m.text != 'string') return;
      outbox.push(m);
      if (open && open.id == m.to) addUnsent(m);
    });
  });
  outbox.sort(function (a, b) { return a.at - b.at; });
  // There is a connection: what waits for another try need not.
  if (outTimer) {
    clearTimeout(outTimer);
    outTimer = 0;
    sending = false;
  }
  pump();
}

function addUnsent(m) {
  m.sender_id = me.id;
  m.row = rows.appendChild(rowOf(m));
  refusal(m);
}

function refusal(m) {
  m.tick.className = m.refused ? 'tick bad' : 'tick';
  say(m.tick, m.refused ? 'not sent: ' + m.refused : 'sending');
}

function showUnsent(k) {
  each(outbox, function (m) { if (m.to == k.id) addUnsent(m); });
}

function firstUnsent() {
  for (var i = 0; i < outbox.length; i++) if (outbox[i].to == open.id) return outbox[i].row || null;
  return null;
}

// settle removes a message that is stored, whoever told us.
function settle(id) {
  for (var i = 0; i < outbox.length; i++) {
    if (outbox[i].id == id) {
      keep(outKey(id), null);
      drop(outbox[i].row);
      outbox.splice(i, 1);
      return;
    }
  }
}

function unsent() {
  for (var i = 0; i < outbox.length; i++) if (!outbox[i].refused) return outbox[i];
}

function pump() {
  var m = unsent();
  if (!m || sending) return;
  sending = true;
  ask(true, 'POST', pathOf(m.to, '/messages'), {client_id: m.id, text: m.text}, function (status, body, retry) {
    var k = convs[m.to];
    function go() {
      sending = false;
      outTimer = 0;
      pump();
    }
    if (status == 200 || status == 201) {
      if (outFailures) state('');
      outFailures = 0;
      settle(m.id);
      // Before the poll tells of it; its event is passed over then.
      if (k && k.list) insert(k, body);
      return go();
    }
    // Only the server itself refuses for good, and not for a page of an earlier session.
    if (!body.code || body.field == 'form_token' || status == 408 || passes(status)) {
      if (status) problem(status, body);
      outTimer = wait(go, ++outFailures, retry);
      return;
    }
    m.refused = body.detail || 'refused';
    keep(outKey(m.id), null);
    if (m.row) refusal(m);
    // Its place may not be seen, or be no more.
    state('Not sent: ' + m.refused);
    go();
  });
}
