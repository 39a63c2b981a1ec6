package chat

import (
	"context"
	"os"
)

func RunScreen(ctx context.Context, o Options, in, out *os.File) error {
	return RunPlain(ctx, o, in, out)
}
