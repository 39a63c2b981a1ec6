// JSON (RFC 8259), written by us everywhere and read by us where there is no JSON.

// attempt has the only catch there is: Internet Explorer before 9 gives its variable
// to the whole function around it, where others may have the same short name.
function attempt(f) {
  try {
    return f();
  } catch (e) {}
}

function each(list, f) {
  for (var i = 0; list && i < list.length; i++) f(list[i]);
}

function has(o, k) {
  return Object.prototype.hasOwnProperty.call(o, k);
}

// Everything beyond ASCII is escaped, so that no charset matters on the way.
// JSON.stringify is no use: Internet Explorer 8 writes a field's '' as null.
function quote(s) {
  return '"' + s.replace(/["\\\x00-\x1f\x7f-\uffff]/g, function (c) {
    return '\\u' + ('000' + c.charCodeAt(0).toString(16)).slice(-4);
  }) + '"';
}

function toJSON(v) {
  var out = [], k;
  if (typeof v == 'string') return quote(v);
  if (v === null || typeof v != 'object') return String(v);
  if (v instanceof Array) {
    for (k = 0; k < v.length; k++) out[k] = toJSON(v[k]);
    return '[' + out.join(',') + ']';
  }
  for (k in v) if (has(v, k)) out.push(quote(k) + ':' + toJSON(v[k]));
  return '{' + out.join(',') + '}';
}

// Throws on what is not JSON.
function fromJSON(text) {
  if (window.JSON && JSON.parse) return JSON.parse(text);
  var at = 0, v;
  function fail() { throw new Error('not JSON'); }
  function peek() {
    while (/[ \t\r\n]/.test(text.charAt(at))) at++;
    return text.charAt(at);
  }
  function string() {
    var out = '', from = ++at, c, m;
    for (;; at++) {
      c = text.charAt(at);
      // Also at the end of the text.
      if (c < ' ') fail();
      if (c == '"' || c == '\\') {
        out += text.substring(from, at);
        if (c == '"') {
          at++;
          return out;
        }
        c = text.charAt(++at);
        if (c == 'u') {
          m = text.substr(at + 1, 4);
          if (!/^[0-9a-fA-F]{4}$/.test(m)) fail();
          out += String.fromCharCode(parseInt(m, 16));
          at += 4;
        } else {
          m = '"\\/bfnrt'.indexOf(c);
          if (!c || m < 0) fail();
          out += String.fromCharCode([34, 92, 47, 8, 12, 10, 13, 9][m]);
        }
        from = at + 1;
      }
    }
  }
  function value(depth) {
    var c = peek(), end = c == '{' ? '}' : ']', v, k, m;
    if (depth > 40) fail();
    if (c == '"') return string();
    if (c == '{' || c == '[') {
      v = c == '{' ? {} : [];
      at++;
      if (peek() == end) {
        at++;
        return v;
      }
      for (c = ','; c == ','; at++) {
        k = v.length;
        if (end == '}') {
          if (peek() != '"') fail();
          k = string();
          if (peek() != ':') fail();
          at++;
        }
        v[k] = value(depth + 1);
        c = peek();
      }
      if (c != end) fail();
      return v;
    }
    m = /^(true|false|null|-?(0|[1-9]\d*)(\.\d+)?([eE][+\-]?\d+)?)/.exec(text.substr(at, 40));
    if (!m) fail();
    at += m[0].length;
    return c == 't' ? true : c == 'f' ? false : c == 'n' ? null : Number(m[0]);
  }
  v = value(0);
  if (peek()) fail();
  return v;
}
