package chat

import (
	"context"
	"sync"

	holdline "holdline/sdk/go"
)

// names are the handles of users by id. It may be used from any goroutine.
type names struct {
	api *holdline.Client

	mu    sync.Mutex
	known map[string]string
}

func (n *names) learn(u holdline.User) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.known[u.Id] = Escape(u.Handle)
}

// of is a user's handle; the id where it is not known.
func (n *names) of(id string) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	if handle, ok := n.known[id]; ok {
		return handle
	}
	return Escape(id)
}

// find asks the server for those that are not known. What it does not tell stays an id.
func (n *names) find(ctx context.Context, ids ...string) {
	for _, id := range ids {
		n.mu.Lock()
		_, known := n.known[id]
		n.mu.Unlock()
		if known || id == "" {
			continue
		}
		if u, err := read[holdline.User](n.api.GetUser(ctx, id)); err == nil {
			n.learn(u)
		}
	}
}
