// Package conformance holds the situations that every SDK is run through, against the real server: table.yaml, and a
// World in which they happen. A World is a server on a database of its own, behind a proxy that misbehaves when told to,
// with the people who talk meanwhile. The Go runner uses it as a package, runners in other languages by the program in
// cmd; README.md describes both.
package conformance
