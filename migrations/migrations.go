// Package migrations holds the schema of both databases as numbered goose
// migrations, embedded in the binary.
package migrations

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"io/fs"

	"github.com/pressly/goose/v3"
)

//go:embed sqlite/*.sql postgres/*.sql
var files embed.FS

// SQLite brings the schema of a SQLite database up to date. It refuses one
// that a newer holdline has migrated.
func SQLite(ctx context.Context, db *sql.DB) error {
	return up(ctx, goose.DialectSQLite3, "sqlite", db)
}

// Postgres is SQLite for PostgreSQL. The caller keeps other nodes out meanwhile.
func Postgres(ctx context.Context, db *sql.DB) error {
	return up(ctx, goose.DialectPostgres, "postgres", db)
}

func up(ctx context.Context, dialect goose.Dialect, folder string, db *sql.DB) error {
	numbered, err := fs.Sub(files, folder)
	if err != nil {
		return err
	}
	provider, err := goose.NewProvider(dialect, db, numbered, goose.WithLogger(goose.NopLogger()))
	if err != nil {
		return err
	}
	current, target, err := provider.GetVersions(ctx)
	if err != nil {
		return fmt.Errorf("reading the schema version: %w", err)
	}
	if current > target {
		return fmt.Errorf("the database has schema version %d, this holdline knows %d: use a newer holdline", current, target)
	}
	_, err = provider.Up(ctx)
	return err
}
