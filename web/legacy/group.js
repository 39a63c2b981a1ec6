// Groups: what happens to them, who is in them, leaving them.

// note makes the line that tells of an event which is no message. What is not for
// the eye has one too, so that the log is without gaps.
function note(m) {
  var li = make(null, 'li', 'note'), who = m.action == 'role' ? m.user_id : m.sender_id, self = who == m.user_id, words = {
    created: 'made the group',
    title: m.title ? 'named the group' : 'took the title away',
    added: self ? 'joined' : 'added',
    removed: 'removed',
    left: 'left',
    role: 'is now ' + m.role
  }[m.action || m.type];
  if (words && m.kind != 'direct') {
    label(make(li, 'span', 'who'), who);
    write(li, ' ' + words + ' ');
    if (m.title) make(li, 'span', 'who', '"' + m.title + '"');
    else if (m.user_id && !self) label(make(li, 'span', 'who'), m.user_id);
    write(li, ' ');
    make(li, 'span', 'when', when(m.accepted_at));
  } else {
    li.className = 'off';
  }
  return li;
}

// cite shows the beginning of what a message of the open conversation answers, if
// that is here; until then m.quote waits for it.
function cite(m) {
  var e = m.quote;
  if (e) each(open.list, function (of) {
    var text = of.text;
    if (of.seq != m.reply_to || !text) return;
    clear(e);
    label(make(e, 'span', 'who'), of.sender_id);
    // No half of a surrogate pair at its end.
    write(e, ': ' + (text.length > 80 ? text.substr(0, 80).replace(/[\ud800-\udbff]$/, '') + '\u2026' : text));
    m.quote = null;
  });
}

function handlesIn(id) {
  var handles = $(id).value.toLowerCase().match(/[^\s,;@]+/g);
  if (!handles) state('Name at least one handle.');
  return handles;
}

function showAdding(yes) {
  show('adding', yes);
  fit();
  $(yes ? 'new' : 'text').focus();
}

function addPeople() {
  var handles = handlesIn('new');
  if (handles) want('POST', pathOf(open.id, '/members'), {members: handles}, function (body, status) {
    $('new').value = '';
    if (status == 200) state('They were in it already.');
    if (open) showAdding(false);
  });
}

function quit() {
  var k = open;
  if (confirm('Leave this group? Only its members could add you again.')) want('DELETE', pathOf(k.id, '/members/me'), null, function () {
    gone(k);
    arrange();
  });
}
