package harness

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// DependOnSources makes go test run a test again when any source of this
// module has changed. go test keeps a result for as long as the packages that
// the test imports, and the files that it looks at, stay the same; a test that
// builds or lists other packages imports none of them.
func DependOnSources(tb testing.TB) {
	tb.Helper()
	root, err := moduleRoot()
	if err != nil {
		tb.Fatal(err)
	}
	if err := lookAtSources(root); err != nil {
		tb.Fatal(err)
	}
}

// lookAtSources looks at every file that the program is built from.
func lookAtSources(root string) error {
	return filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && slices.Contains([]string{".git", "bin", "node_modules", "testdata"}, entry.Name()):
			return fs.SkipDir
		case entry.IsDir() || !slices.Contains([]string{".go", ".sql", ".yaml", ".mod", ".sum"}, filepath.Ext(path)):
			return nil
		}
		_, err = os.Stat(path)
		return err
	})
}
