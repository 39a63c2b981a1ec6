// Package devices tests what docs/devices.md and docs/shells.md show: the
// clients of the folder examples and the commands of the pages, run as they are
// written there, against the real server. It holds tests only:
//
//   - examples/c, compiled with every warning an error, with and without the
//     address and undefined-behaviour sanitizers, while its connections are cut,
//     the server is killed and it is killed itself; and against answers that are
//     split, and cut, at each of their bytes;
//   - examples/sh by dash and by busybox, examples/python by Python 3;
//   - the commands of the pages by bash, curl, nc and python3.
//
// What is missing on the machine is an error, after .ci/install has been tried.
package devices
