// Package testdb gives every test a real database of its own.
//
// PostgreSQL comes from HOLDLINE_TEST_POSTGRES if that is set: the URL of a
// server, version 15 or later, where the tests may create databases. Otherwise
// each test process starts one throw-away cluster, shared by its tests (see
// pgcluster for where the programs come from). No test is ever skipped for want
// of a server: without one it fails, and says what to install.
//
// `make test` starts one cluster for all packages, through the command in cmd/.
package testdb
