// What outlives the page: localStorage, else userData (Internet Explorer 5 to 7),
// else nothing does, and it is kept for as long as the page is there.

var local = null;
var old = null;
var memory = {};

function openKept() {
  local = attempt(function () {
    localStorage.setItem('holdline', '1');
    localStorage.removeItem('holdline');
    return localStorage;
  });
  old = !local && attempt(function () {
    var e = $('kept');
    e.addBehavior('#default#userData');
    e.load('holdline');
    return e;
  });
}

function recall() {
  if (old) attempt(function () {
    old.load('holdline');
    memory = fromJSON(old.getAttribute('all') || '{}');
  });
  return memory;
}

function kept(key) {
  var value = local && attempt(function () { return local.getItem(key); }), all = recall();
  return value || (has(all, key) ? all[key] : null);
}

// keep keeps a value; null, to keep it no longer.
function keep(key, value) {
  recall();
  delete memory[key];
  if (!local || !attempt(function () {
    if (value === null) local.removeItem(key);
    else local.setItem(key, value);
    return true;
  })) {
    // Also where localStorage is full.
    if (value !== null) memory[key] = value;
  }
  if (old) attempt(function () {
    old.setAttribute('all', toJSON(memory));
    old.save('holdline');
  });
}

function keptKeys(prefix) {
  var keys = [], all = recall(), k, i;
  for (i = 0; local && i < local.length; i++) keys.push(local.key(i));
  for (k in all) if (has(all, k)) keys.push(k);
  for (i = keys.length; i--;) if (keys[i].indexOf(prefix)) keys.splice(i, 1);
  return keys;
}
