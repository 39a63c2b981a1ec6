// Package web holds Holdline's pages, and serves them from the binary: no build
// step, nothing from other servers.
//
// The legacy page is for browsers that have no more than ECMAScript 3, tables of
// events by attribute and an XMLHttpRequest, some of them as an ActiveX object:
// Internet Explorer 6 to 11, Opera Presto, old Android and KaiOS, televisions and
// consoles. It promises:
//
//  1. Everything of it is at most 25 KiB, and parses as ECMAScript 3 without a
//     reserved word as the name of a property.
//  2. It needs nothing that a browser may lack: what is not there is done
//     without, down to JSON, localStorage and cookies.
//  3. What people write reaches the page as text nodes only.
//  4. It holds one connection, shared by all tabs where there is localStorage,
//     and uses at most one more at a time.
//  5. A message that was typed is kept until the server has accepted it, over
//     crashes of the server and, where anything can be kept, of the browser;
//     repeating it makes no second one.
package web
