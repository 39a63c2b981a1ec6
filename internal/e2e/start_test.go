package e2e

import (
	"database/sql"
	"os"
	"path/filepath"
	"strings"
	"testing"

	_ "github.com/lib/pq"
	_ "modernc.org/sqlite"

	"holdline/internal/harness"
	"holdline/internal/testdb"
)

// refused runs serve, which must not start, and returns the one line it says.
func refused(t *testing.T, status int, c harness.Config, naming ...string) {
	t.Helper()
	c.NoRace = true
	s := harness.Launch(t, c)
	if got := s.Wait(); got != status {
		t.Errorf("status %d instead of %d", got, status)
	}
	said := strings.TrimSpace(s.Logs())
	for _, word := range naming {
		if !strings.Contains(said, word) {
			t.Errorf("%q does not hold %q", said, word)
		}
	}
	if lines := strings.Split(said, "\n"); len(lines) > 2 || !strings.HasPrefix(lines[0], "holdline: ") {
		t.Errorf("it is not one clear line:\n%s", said)
	}
	if s.Output() != "" {
		t.Errorf("it announced itself all the same:\n%s", s.Output())
	}
}

func TestStartIsRefusedInOneLine(t *testing.T) {
	t.Run("unknown flag", func(t *testing.T) {
		refused(t, 2, harness.Config{Args: []string{"--sleep=1s"}}, "--sleep", "serve --help")
	})
	t.Run("wrong flag", func(t *testing.T) {
		refused(t, 2, harness.Config{Args: []string{"--sweep=never"}}, "--sweep", "never")
	})
	t.Run("unknown variable", func(t *testing.T) {
		refused(t, 2, harness.Config{Env: []string{"HOLDLINE_SLEEP=1s"}}, "HOLDLINE_SLEEP")
	})
	t.Run("unknown key", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "holdline.toml")
		if err := os.WriteFile(file, []byte("sleep = \"1s\"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		refused(t, 2, harness.Config{Args: []string{"--config", file}}, `"sleep"`)
	})
	t.Run("address that is none", func(t *testing.T) {
		refused(t, 2, harness.Config{Listen: "8080"}, "8080", "missing port")
	})
	t.Run("folder missing", func(t *testing.T) {
		refused(t, 1, harness.Config{Database: "sqlite:" + filepath.Join(t.TempDir(), "none", "x.db")}, "folder", "create it")
	})
	t.Run("not a database", func(t *testing.T) {
		path := testdb.SQLite(t)
		if err := os.WriteFile(path, []byte(strings.Repeat("This is no database. ", 500)), 0o600); err != nil {
			t.Fatal(err)
		}
		refused(t, 1, harness.Config{Database: "sqlite:" + path}, path, "not a database")
	})
	t.Run("database unreachable", func(t *testing.T) {
		refused(t, 1, harness.Config{Database: "postgres://ann:secret@127.0.0.1:1/chat?sslmode=disable"}, "PostgreSQL", "127.0.0.1", "refused")
	})
	t.Run("wrong password", func(t *testing.T) {
		wrong := strings.Replace(testdb.Cluster(t).URL("postgres"), "holdline:", "holdline:not", 1)
		refused(t, 1, harness.Config{Database: wrong}, "PostgreSQL", "password")
	})
}

func TestAPortInUseIsRefused(t *testing.T) {
	first := harness.Start(t, harness.Config{})
	address := strings.TrimPrefix(first.URL, "http://")
	path := testdb.SQLite(t)
	refused(t, 1, harness.Config{Listen: address, Database: "sqlite:" + path}, address, "--listen")
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("the database was touched first: %v", err)
	}
}

func TestOneFileIsServedOnce(t *testing.T) {
	first := harness.Start(t, harness.Config{})
	refused(t, 1, harness.Config{Database: first.Database}, strings.TrimPrefix(first.Database, "sqlite:"), "another")
	first.Kill()
	harness.Start(t, harness.Config{Database: first.Database}) // the lock went with its holder
}

func TestANewerSchemaIsRefused(t *testing.T) {
	testdb.Each(t, func(t *testing.T, database string) {
		if r := harness.Run(t, "", "migrate", "--database", database); r.Status != 0 || !strings.Contains(r.Stdout, "up to date") {
			t.Fatalf("%+v", r)
		}
		driver, source := "postgres", database
		if path, ok := strings.CutPrefix(database, "sqlite:"); ok {
			driver, source = "sqlite", path
		}
		db, err := sql.Open(driver, source)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := db.Exec("INSERT INTO goose_db_version (version_id, is_applied) VALUES (99999, TRUE)"); err != nil {
			t.Fatal(err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		refused(t, 1, harness.Config{Database: database}, "99999", "newer")
	})
}

func TestUnsafeDurabilityIsRefusedUnlessNamed(t *testing.T) {
	database := testdb.Postgres(t)
	db, err := sql.Open("postgres", database)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var name string
	if err := db.QueryRow("SELECT current_database()").Scan(&name); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec("ALTER DATABASE " + name + " SET synchronous_commit = off"); err != nil {
		t.Fatal(err)
	}
	refused(t, 1, harness.Config{Database: database}, "synchronous_commit", "--allow-unsafe-durability")
	harness.Start(t, harness.Config{Database: database, Args: []string{"--allow-unsafe-durability"}})
}

func TestTheAnnouncementSaysWhatToTry(t *testing.T) {
	open := harness.Start(t, harness.Config{}).Output()
	if !strings.Contains(open, "curl http://127.0.0.1:") || !strings.Contains(open, "/v1/users") {
		t.Errorf("no command to try:\n%s", open)
	}
	closed := harness.Start(t, harness.Config{Args: []string{"--signup=closed"}}).Output()
	if !strings.Contains(closed, "holdline user add") {
		t.Errorf("no way to an account:\n%s", closed)
	}
}

func TestFilesAreForTheirUserAlone(t *testing.T) {
	s := harness.Start(t, harness.Config{})
	s.SignUp("ann")
	files, err := filepath.Glob(strings.TrimPrefix(s.Database, "sqlite:") + "*")
	if err != nil || len(files) < 3 {
		t.Fatalf("files %v, %v", files, err)
	}
	for _, path := range files {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if mode := info.Mode().Perm(); mode&0o077 != 0 {
			t.Errorf("%s has mode %v", path, mode)
		}
	}
}
