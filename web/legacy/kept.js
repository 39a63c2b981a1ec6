// What outlives the page: localStorage, else userData (Internet Explorer 5 to 7),
// else nothing does, and it is kept for as long as the page is there.

var local = null;
var old = null;
var memory = {};

function openKept() {
  var e = document.getElementById('kept');
  try {
    localStorage.setItem('holdline', '1');
    localStorage.removeItem('holdline');
    local = localStorage;
  } catch (e2) {
    local = null;
    try {
      e.addBehavior('#default#userData');
      e.load('holdline');
      old = e;
    } catch (e3) {}
  }
}

function recall() {
  if (old) {
    try {
      old.load('holdline');
      memory = fromJSON(old.getAttribute('all') || '{}');
    } catch (e) {}
  }
  return memory;
}

function kept(key) {
  if (local) {
    try {
      return local.getItem(key);
    } catch (e) {}
  }
  var all = recall();
  return has(all, key) ? all[key] : null;
}

// keep keeps a value, null to keep it no longer.
function keep(key, value) {
  if (local) {
    try {
      if (value === null) local.removeItem(key);
      else local.setItem(key, value);
      return;
    } catch (e) {}
  }
  recall();
  if (value === null) delete memory[key];
  else memory[key] = value;
  if (old) {
    try {
      old.setAttribute('all', toJSON(memory));
      old.save('holdline');
    } catch (e2) {}
  }
}

function keptKeys(prefix) {
  var keys = [], k, i;
  if (local) for (i = 0; i < local.length; i++) keys.push(local.key(i));
  recall();
  for (k in memory) if (has(memory, k)) keys.push(k);
  for (i = keys.length; i--;) if (keys[i].indexOf(prefix)) keys.splice(i, 1);
  return keys;
}
