package subprocess

import (
	"context"
	"math/rand/v2"
	"net"
	"strconv"
)

// FreeAddress finds an address of the loopback whose port is below the range
// that outgoing connections take theirs from, so that it is still free when a
// server that was ended comes back to it.
func FreeAddress(ctx context.Context) (address string, err error) {
	const tries = 100
	var listen net.ListenConfig
	for range tries {
		address = net.JoinHostPort("127.0.0.1", strconv.Itoa(15000+rand.IntN(17000)))
		var l net.Listener
		if l, err = listen.Listen(ctx, "tcp", address); err == nil {
			return address, l.Close()
		}
	}
	return "", err
}
