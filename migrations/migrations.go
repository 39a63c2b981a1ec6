// Package migrations holds the schema of both databases as numbered goose
// migrations, embedded in the binary.
package migrations

import "embed"

// SQLite holds sqlite/*.sql, Postgres holds postgres/*.sql.
var (
	//go:embed sqlite/*.sql
	SQLite embed.FS
	//go:embed postgres/*.sql
	Postgres embed.FS
)
