// Takes from a browser what old ones lack, before the page's script runs. What
// stays of the language is what ECMA-262, 3rd edition, chapter 15 lists.
(function (bare) {
  const keep = (object, names) => {
    for (const name of Object.getOwnPropertyNames(object)) {
      if (!names.includes(name)) delete object[name];
    }
  };
  const list = (text) => text.split(' ');
  const XHR = window.XMLHttpRequest, define = Object.defineProperty, getNames = Object.getOwnPropertyNames, descriptor = Object.getOwnPropertyDescriptor, functions = Function.prototype;

  // What the tests ask for afterwards.
  window.requested = [];
  window.forbidden = [];
  const opened = XHR.prototype.open;
  XHR.prototype.open = function (method, url) {
    window.requested.push(method + ' ' + url);
    return opened.apply(this, arguments);
  };

  // Nothing that people write may reach a parser.
  const refuse = (object, name) => define(object, name, {
    get() { return undefined; },
    set() { window.forbidden.push(name); throw new Error(name); },
  });
  refuse(Element.prototype, 'innerHTML');
  refuse(Element.prototype, 'outerHTML');
  for (const name of ['write', 'writeln']) document[name] = () => { window.forbidden.push(name); };
  window.eval = window.Function = () => { window.forbidden.push('eval'); };

  if (bare) {
    const disk = location.protocol == 'http:' && window.localStorage;
    define(window, 'localStorage', {get() { throw new Error('SecurityError'); }});
    define(Document.prototype, 'cookie', {get() { return ''; }, set() {}});
    // Internet Explorer 6: ActiveX objects only, and only the older name. 204 is 1223.
    delete window.XMLHttpRequest;
    window.ActiveXObject = function (name) {
      if (name != 'Microsoft.XMLHTTP') throw new Error('cannot create ' + name);
      const x = new XHR();
      define(x, 'withCredentials', {value: undefined});
      define(x, 'status', {get() {
        const status = descriptor(XHR.prototype, 'status').get.call(x);
        return status == 204 ? 1223 : status;
      }});
      return x;
    };
    // userData lies on the disk too.
    Element.prototype.addBehavior = function (name) {
      if (name != '#default#userData') throw new Error(name);
      this.load = (store) => this.setAttribute('all', disk.getItem(store) || '');
      this.save = (store) => disk.setItem(store, this.getAttribute('all'));
    };
  }

  for (const name of list('fetch Request Response Headers FormData EventSource WebSocket Promise JSON Map Set WeakMap WeakSet WeakRef Symbol Proxy Reflect URL URLSearchParams File FileReader Worker SharedWorker BroadcastChannel MessageChannel MutationObserver ResizeObserver IntersectionObserver requestAnimationFrame queueMicrotask structuredClone crypto indexedDB TextEncoder TextDecoder atob btoa Intl BigInt ArrayBuffer Uint8Array DataView DOMParser AbortController CustomEvent getSelection matchMedia getComputedStyle sessionStorage')) {
    define(window, name, {value: undefined, configurable: true, writable: true});
  }
  for (const name of list('addEventListener removeEventListener dispatchEvent')) delete EventTarget.prototype[name];
  for (const type of [Document, Element, DocumentFragment]) {
    for (const name of list('querySelector querySelectorAll getElementsByClassName append prepend replaceChildren remove before after replaceWith closest matches classList insertAdjacentHTML insertAdjacentElement insertAdjacentText children firstElementChild lastElementChild')) delete type.prototype[name];
  }
  for (const name of list('remove before after replaceWith')) delete CharacterData.prototype[name];
  for (const name of list('nextElementSibling previousElementSibling')) delete Element.prototype[name];
  for (const name of list('textContent contains isConnected')) delete Node.prototype[name];
  for (const name of list('dataset')) delete HTMLElement.prototype[name];

  keep(Date, list('length name prototype UTC parse'));
  keep(Array, list('length name prototype'));
  keep(String, list('length name prototype fromCharCode'));
  keep(Number, list('length name prototype MAX_VALUE MIN_VALUE NaN NEGATIVE_INFINITY POSITIVE_INFINITY'));
  keep(Math, list('E LN10 LN2 LOG2E LOG10E PI SQRT1_2 SQRT2 abs acos asin atan atan2 ceil cos exp floor log max min pow random round sin sqrt tan'));
  keep(functions, list('length name constructor toString apply call arguments caller'));
  keep(String.prototype, list('length constructor toString valueOf charAt charCodeAt concat indexOf lastIndexOf localeCompare match replace search slice split substring substr toLowerCase toLocaleLowerCase toUpperCase toLocaleUpperCase'));
  for (const name of list('toISOString toJSON')) delete Date.prototype[name];
  const stay = ' length constructor toString toLocaleString concat join pop push reverse shift slice sort splice unshift ';
  for (const name of getNames(Array.prototype)) if (stay.indexOf(' ' + name + ' ') < 0) delete Array.prototype[name];
  for (const name of list('keys values entries assign create defineProperty defineProperties freeze getOwnPropertyNames getOwnPropertyDescriptor getOwnPropertyDescriptors getPrototypeOf setPrototypeOf is seal isFrozen isSealed isExtensible preventExtensions fromEntries hasOwn groupBy getOwnPropertySymbols')) delete Object[name];
})(BARE);
