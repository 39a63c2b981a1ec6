package typescript

import (
	"os"
	"testing"

	"holdline/internal/browser"
)

func TestMain(m *testing.M) {
	status := m.Run()
	browser.End()
	os.Exit(status)
}
