// Package pages uses Holdline's pages in real browsers, as people do: with a
// keyboard, on the real program. Person is somebody who does, for other packages'
// tests too.
//
// The legacy page runs in Chromium, from which everything has been taken first
// that an old browser may lack, down to JSON, addEventListener and the methods of
// ECMAScript 5, once with localStorage and cookies and once without; and in a
// WebKit of 2016.
package pages
