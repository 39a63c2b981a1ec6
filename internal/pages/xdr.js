// Internet Explorer 8 and 9, as far as calls to another origin go: no
// XMLHttpRequest that may, but XDomainRequest. It can GET and POST, sends no header
// and no cookie, tells no status, and calls all but 200 an error.
(function () {
  var XHR = window.XMLHttpRequest;
  window.XMLHttpRequest = undefined;
  window.XDomainRequest = function () {
    var xdr = this, x = new XHR(), opened = false;
    this.responseText = '';
    this.open = function (method, url) {
      if (method != 'GET' && method != 'POST') throw new Error(method);
      // Absolute, and of the page's own scheme.
      if (url.indexOf(location.protocol + '//')) throw new Error(url);
      x.open(method, url);
      window.requested[window.requested.length - 1] = 'XDR ' + method + ' ' + url;
      opened = true;
    };
    this.send = function (body) {
      if (!opened) throw new Error('not open');
      // Without onprogress some are aborted.
      if (!xdr.onprogress) return;
      x.timeout = xdr.timeout;
      x.onload = function () {
        if (x.status != 200) return xdr.onerror();
        xdr.responseText = x.responseText;
        xdr.onload();
      };
      x.onerror = function () { xdr.onerror(); };
      x.ontimeout = function () { xdr.ontimeout(); };
      // A Blob without a type is the body that has no Content-Type.
      x.send(body && new Blob([body]));
    };
    this.abort = function () { x.abort(); };
  };
})();
