// Package e2e tests the program as its users meet it: the real binary, real
// sockets, real databases. It holds tests only.
package e2e
