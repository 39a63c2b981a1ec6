// Calls to the server, by whatever this browser has.

// server is '' where the page comes from it. A page that is served elsewhere
// names it in its meta element; the address of the page has no say in it.
var server = '';
var far = false;
// How we are signed in: by a cookie (then form is its form token), or by a token.
var session = {};
var ticketAge = 300;
var waiting = [];
var asking = null;
var counter = 0;

function nothing() {}

function now() {
  return new Date().getTime();
}

function random() {
  return Math.random().toString(36).substring(2, 10);
}

// passes tells whether what hinders a call may pass by itself.
function passes(status) {
  return !status || status == 429 || status > 499;
}

// wait calls f later, after so many failures, not before the server wants it and
// never when another client does; and only if the same person is here still.
function wait(f, failures, atLeast) {
  var who = me;
  return setTimeout(function () {
    if (me == who) f();
  }, 1000 * ((atLeast || 0) + (1 << Math.min(failures, 6)) * (0.75 + Math.random() / 2)));
}

function newRequest() {
  function activeX(name) {
    return attempt(function () { return new ActiveXObject(name); });
  }
  return attempt(function () { return new XMLHttpRequest(); }) || activeX('MSXML2.XMLHTTP') || activeX('Microsoft.XMLHTTP');
}

// query makes an address new: Internet Explorer keeps answers in spite of no-store.
function query(path) {
  return path + (path.indexOf('?') < 0 ? '?t=' : '&t=') + now() + (counter++);
}

// call makes a call, whose outcome done(status, body, retryAfter) gets; status 0
// is no answer. It returns what aborts it without one.
function call(method, path, body, done, seconds) {
  var x = newRequest();
  if (far && window.XDomainRequest && !(x && 'withCredentials' in x)) return callXDR(method, path, body, done, seconds);
  var headers = {}, over = false, timer;
  function end(answered) {
    var status = 0, answer = {}, retry = 0;
    if (over) return;
    over = true;
    clearTimeout(timer);
    x.onreadystatechange = nothing;
    if (answered) {
      // Reading from a request that failed throws in some.
      attempt(function () { status = x.status; });
      attempt(function () { retry = Number(x.getResponseHeader('Retry-After')) || 0; });
      answer = attempt(function () { return x.responseText && fromJSON(x.responseText); });
    } else {
      attempt(function () { x.abort(); });
    }
    // Internet Explorer calls a 204 so, and has errors of its own above 12000.
    if (status == 1223) status = 204;
    // What is not JSON is from somebody on the way.
    if (status > 599 || status != 204 && !answer) status = 0;
    if (done) done(status, answer || {}, retry);
  }
  // Not end itself: some browsers give a timer's function an argument.
  function fail() { end(false); }
  timer = setTimeout(fail, 1000 * (seconds || 30));
  if (!x) {
    setTimeout(fail, 1);
    return nothing;
  }
  path = query(path);
  if (!attempt(function () {
    x.open(method, server + path, true);
    if (session.token) x.setRequestHeader('Authorization', 'Bearer ' + session.token);
    if (session.form) x.setRequestHeader('Holdline-Form-Token', session.form);
    if (body) x.setRequestHeader('Content-Type', 'application/json');
    x.onreadystatechange = function () {
      if (x.readyState == 4) end(true);
    };
    x.send(body ? toJSON(body) : null);
    return true;
  })) setTimeout(fail, 1);
  return function () {
    done = null;
    fail();
  };
}

// XDomainRequest (Internet Explorer 8 and 9, for a page that is served elsewhere)
// can GET and POST, sets no header, has no cookie and sees no status.
function callXDR(method, path, body, done, seconds) {
  var x, over = false, again = false;
  function end(text) {
    var e = attempt(function () { return fromJSON(text); }) || {}, d = done;
    if (over) return;
    x = null;
    if (e.status == 401 && method == 'GET' && session.token && !again) {
      // The ticket has run out, by a clock that is righter than ours.
      again = true;
      return begin();
    }
    over = true;
    if (d) d(e.status || 0, e.body || {}, e.retry_after || 0);
  }
  function send() {
    if (over) return;
    var full = {}, to = query(path) + '&envelope=1', k, opened;
    if (method == 'GET') {
      if (session.ticket) to += '&ticket=' + session.ticket;
    } else {
      if (method != 'POST') to += '&method=' + method;
      for (k in body) if (has(body, k)) full[k] = body[k];
      if (session.token) full.access_token = session.token;
    }
    x = new XDomainRequest();
    x.timeout = 1000 * (seconds || 30);
    x.onload = function () { end(x.responseText); };
    x.onerror = x.ontimeout = function () { end(''); };
    // Without it, or sent at once, some requests are aborted.
    x.onprogress = nothing;
    // It throws where only one of page and server has TLS.
    opened = attempt(function () {
      x.open(method == 'GET' ? 'GET' : 'POST', server + to);
      return true;
    });
    setTimeout(function () {
      if (!opened) end('');
      else if (x) x.send(method == 'GET' ? null : toJSON(full));
    }, 1);
  }
  function begin() {
    if (method != 'GET' || !session.token || !again && now() < session.until) return send();
    callXDR('POST', 'v1/tickets', {}, function (status, body) {
      again = again || status == 401;
      if (status != 201) return end(toJSON({status: status, body: body}));
      session.ticket = body.ticket;
      session.until = now() + ticketAge * 500;
      send();
    });
  }
  begin();
  return function () {
    over = true;
    if (x) x.abort();
  };
}

// ask queues a call: one goes at a time beside the poll, since Internet Explorer
// has two connections in all. What a person waits for goes first.
function ask(first, method, path, body, done) {
  waiting[first ? 'unshift' : 'push']([method, path, body, done]);
  next();
}

// want is ask for what somebody has just asked for: what stands in the way is shown.
function want(method, path, body, done) {
  quiet();
  ask(true, method, path, body, function (status, answer) {
    if (!status || status > 299) problem(status, answer);
    else done(answer, status);
  });
}

function next() {
  var job = !asking && waiting.shift();
  if (!job) return;
  asking = call(job[0], job[1], job[2], function (status, body, retry) {
    asking = null;
    // Whatever it was: the session has ended.
    if (status == 401 && me) signedOut();
    else job[3](status, body, retry);
    next();
  });
}
