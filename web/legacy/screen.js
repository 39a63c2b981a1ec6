// What the page shows. All that people wrote comes through text nodes.

var doc = document;

function $(id) {
  return doc.getElementById(id);
}

var log = $('log');
var rows = $('messages');
var field = $('text');

function show(id, yes) {
  $(id).className = yes ? '' : 'off';
}

function write(e, text) {
  e.appendChild(doc.createTextNode(text));
}

// make makes an element, at the end of another if one is given.
function make(parent, tag, className, text) {
  var e = doc.createElement(tag);
  if (className) e.className = className;
  if (text) write(e, text);
  if (parent) parent.appendChild(e);
  return e;
}

function clear(e) {
  while (e.firstChild) e.removeChild(e.firstChild);
}

// drop takes an element out, if it is anywhere.
function drop(e) {
  if (e && e.parentNode) e.parentNode.removeChild(e);
}

// say gives an element its text; what says it already is left alone, since screen
// readers read out what changes. It returns whether something did.
function say(e, text) {
  if ((e.firstChild ? e.firstChild.nodeValue : '') == text) return false;
  clear(e);
  write(e, text);
  return true;
}

// state tells how things are, in one line; '' when there is nothing to tell.
function state(text) {
  var changed = say($('state'), text);
  if (changed) fit();
  return changed;
}

// quiet takes back what was told, when somebody goes on to something else.
function quiet() {
  if (!failures) state('');
}

function problem(status, body) {
  state(status && body.detail || 'The server does not answer. Try again.');
}

// The line breaks of old browsers, which have no pre-wrap.
function lines(e, text) {
  // Not split by an expression: Internet Explorer leaves out what is empty.
  var parts = text.replace(/\r\n?/g, '\n').split('\n'), i;
  for (i = 0; i < parts.length; i++) {
    if (i) make(e, 'br');
    write(e, parts[i]);
  }
}

function two(n) {
  return n < 10 ? '0' + n : n;
}

function when(time) {
  var m = /^(\d+)-(\d+)-(\d+)T(\d+):(\d+):(\d+)/.exec(time || ''), d, t;
  if (!m) return '';
  d = new Date(Date.UTC(m[1], m[2] - 1, m[3], m[4], m[5], m[6]));
  t = two(d.getHours()) + ':' + two(d.getMinutes());
  if (d.toDateString() == new Date().toDateString()) return t;
  return d.getFullYear() + '-' + two(d.getMonth() + 1) + '-' + two(d.getDate()) + ' ' + t;
}

// fit gives the log the height that is left. Android before 3 scrolls only pages.
function fit() {
  var h = window.innerHeight || doc.documentElement.clientHeight, home = $('home').style, narrow = $('way').offsetHeight > 0;
  if (!me || /Android [12]\./.test(navigator.userAgent)) return;
  h -= $('top').offsetHeight;
  log.style.height = Math.max(90, h - 4 - $('head').offsetHeight - $('write').offsetHeight) + 'px';
  home.height = narrow ? 'auto' : h + 'px';
  home.overflow = narrow ? 'visible' : 'auto';
  if (pinned) toEnd();
}

// pinned is whether the reader is at the end of the log, and wants to stay there.
var pinned = true;

function atEnd() {
  return log.scrollTop + log.clientHeight > log.scrollHeight - 40;
}

function toEnd() {
  pinned = true;
  log.scrollTop = log.scrollHeight;
}

// Names by id, and the elements that wait for one.
var names = {};
var wanted = {};

function know(user) {
  var id = user.id, nodes = wanted[id];
  names[id] = user.display_name && user.display_name != user.handle ? user.display_name + ' (' + user.handle + ')' : user.handle;
  wanted[id] = [];
  each(nodes, function (e) {
    say(e, names[id]);
    if (open) paint(open);
  });
}

// label shows somebody's name in an element, as soon as it is known.
function label(e, id) {
  say(e, names[id] || '\u2026');
  if (names[id]) return;
  if (wanted[id]) return wanted[id].push(e);
  wanted[id] = [e];
  lookUp(id);
}

function lookUp(id) {
  ask(false, 'GET', 'v1/users/' + id, null, function (status, body, retry) {
    if (status == 200) know(body);
    else if (passes(status)) wait(function () { lookUp(id); }, 3, retry);
    else delete wanted[id];
  });
}

// paint brings a conversation's line in the list up to date, and the title of the
// one that is open. The title waits for no name itself: the next may have come first.
function paint(k) {
  var a;
  if (!k.row) {
    k.row = make(null, 'li');
    a = k.link = make(k.row, 'a');
    a.href = '#c=' + k.id;
    a.onclick = function () {
      openTalk(k.id);
      return false;
    };
    k.count = make(a, 'span');
    k.name = make(a, 'b', '', '\u2026');
    k.line = make(a, 'span', 'last');
  }
  k.link.className = k == open ? 'open' : '';
  k.count.className = k.unread ? 'count' : 'off';
  say(k.count, k.unread ? String(k.unread) : '');
  say(k.line, k.preview || '\u00a0');
  if (k.kind == 'group') say(k.name, k.title || 'Group without a title');
  else if (k.partner) label(k.name, k.partner);
  else people(k);
  if (k == open) {
    say($('title'), k.name.firstChild.nodeValue);
    show('acts', k.kind == 'group');
    show('add', k.role != 'member');
  }
}

var shown = 50;

// arrange paints and orders the list, newest first, moving only what has to move.
// What is not shown has no line yet, and nobody's name is asked for it.
function arrange() {
  var order = [], list = $('list'), at = list.firstChild, focused, unread = 0, id, i, row;
  attempt(function () { focused = doc.activeElement; });
  for (id in convs) if (has(convs, id) && convs[id].list) order.push(convs[id]);
  order.sort(function (a, b) {
    return a.at < b.at ? 1 : a.at > b.at ? -1 : 0;
  });
  for (i = 0; i < order.length; i++) {
    unread += order[i].unread;
    if (i >= shown) continue;
    paint(order[i]);
    row = order[i].row;
    if (row == at) at = at.nextSibling;
    else list.insertBefore(row, at);
  }
  while (at) {
    row = at;
    at = at.nextSibling;
    drop(row);
  }
  if (open) paint(open);
  show('all', order.length > shown);
  doc.title = (unread ? '(' + unread + ') ' : '') + 'Holdline';
  if (focused && focused.parentNode && focused.parentNode.parentNode == list && doc.activeElement != focused) focused.focus();
}

// rowOf makes the element of an event, or of a message that is none yet.
function rowOf(m) {
  if (m.type && m.type != 'message') return note(m);
  var mine = m.sender_id == me.id, li = make(null, 'li', mine ? 'mine' : '');
  if (mine) {
    m.tick = make(li, 'span', 'tick');
  } else {
    label(make(li, 'span', 'who'), m.sender_id);
    write(li, ' ');
  }
  make(li, 'span', 'when', when(m.accepted_at) || '\u00a0');
  if (m.reply_to) {
    m.quote = make(li, 'blockquote', '', 'Earlier message');
    cite(m);
  }
  lines(make(li, 'div', 'text'), m.text);
  return li;
}

// tick shows how far the others have got with a message of ours.
function tick(k, m) {
  var delivered = 0, read = 0, others = k.kind == 'direct' ? 1 : k.people - 1, id, word = 'accepted';
  function of(n) {
    return others == 1 ? '' : ' ' + n + (others > 0 ? '/' + others : '');
  }
  for (id in k.marks) {
    if (has(k.marks, id) && id != me.id) {
      if (k.marks[id].delivered >= m.seq) delivered++;
      if (k.marks[id].read >= m.seq) read++;
    }
  }
  if (read) word = 'read' + of(read);
  else if (delivered) word = 'delivered' + of(delivered);
  m.tick.className = 'tick' + (read ? ' read' : '');
  say(m.tick, word);
}
