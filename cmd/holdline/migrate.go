package main

import (
	"context"
	"fmt"
)

type migrateCmd struct {
	databaseFlags
	logFlags
}

// Run brings the schema up to date.
func (m *migrateCmd) Run(ctx context.Context, c *console) error {
	b, err := m.open(ctx, m.logger(c), false)
	if err != nil {
		return err
	}
	if err := b.Close(); err != nil {
		return err
	}
	_, err = fmt.Fprintf(c.out, "The schema of %s is up to date.\n", m.describe())
	return err
}
