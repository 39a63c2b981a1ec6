package storetest

import (
	"encoding/json"
	"fmt"
	"strings"

	"holdline/store"
)

// Dialect is what the suite must know of a database beside its backend.
type Dialect struct {
	// ConcurrentWrites: write transactions of one process run side by side.
	ConcurrentWrites bool
	// DropUnique are the statements that take the uniqueness of a seq and of a
	// client_id away, so that a test can break it.
	DropUnique []string
	// Explain returns how the database reads the rows of a query.
	Explain func(tx *store.Tx, query string, args []any) (Plan, error)
}

// Plan is how a query reads its rows.
type Plan struct {
	Text string
	// Scans are the steps that read a whole table or index instead of a range.
	Scans []string
	// Sorts: the rows are sorted after reading.
	Sorts bool
	// Rows is how many rows of events the query read, -1 where the database does not say.
	Rows int64
}

// SQLite is the dialect of store/sqlite.
var SQLite = Dialect{
	DropUnique: []string{`ALTER TABLE events RENAME TO events_before`, `CREATE TABLE events AS SELECT * FROM events_before`},
	Explain:    explainSQLite,
}

// Postgres is the dialect of store/postgres.
var Postgres = Dialect{
	ConcurrentWrites: true,
	DropUnique:       []string{`ALTER TABLE events DROP CONSTRAINT events_pkey`, `DROP INDEX events_client`},
	Explain:          explainPostgres,
}

// explainSQLite reads https://www.sqlite.org/eqp.html: SEARCH is a range of an
// index, SCAN everything. The rows of a CTE or subquery are always scanned.
func explainSQLite(tx *store.Tx, query string, args []any) (Plan, error) {
	var steps []struct {
		ID      int64  `db:"id"`
		Parent  int64  `db:"parent"`
		NotUsed int64  `db:"notused"`
		Detail  string `db:"detail"`
	}
	if err := tx.Select(&steps, `EXPLAIN QUERY PLAN `+query, args...); err != nil {
		return Plan{}, err
	}
	p := Plan{Rows: -1}
	for _, s := range steps {
		p.Text += s.Detail + "\n"
		if table, ok := strings.CutPrefix(s.Detail, "SCAN "); ok && !inQuery(table) {
			p.Scans = append(p.Scans, s.Detail)
		}
		if strings.Contains(s.Detail, "TEMP B-TREE FOR ORDER BY") {
			p.Sorts = true
		}
	}
	return p, nil
}

// inQuery reports whether what is scanned is a part of the query itself.
func inQuery(table string) bool {
	name, _, _ := strings.Cut(table, " ")
	return name == "place" || name == "wanted" || name == "later" || name == "first" || strings.Contains(table, "CONSTANT ROW")
}

// explainPostgres runs the query and reads what each step did.
func explainPostgres(tx *store.Tx, query string, args []any) (Plan, error) {
	var out string
	if err := tx.Get(&out, `EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) `+query, args...); err != nil {
		return Plan{}, err
	}
	var explained []struct {
		Plan pgNode `json:"Plan"`
	}
	if err := json.Unmarshal([]byte(out), &explained); err != nil {
		return Plan{}, err
	}
	p := Plan{Text: out}
	for _, e := range explained {
		p.add(e.Plan)
	}
	return p, nil
}

// pgNode is a step of a PostgreSQL plan, with the figures of its execution.
type pgNode struct {
	Type       string   `json:"Node Type"`
	Relation   string   `json:"Relation Name"`
	Index      string   `json:"Index Name"`
	Condition  string   `json:"Index Cond"`
	Rows       float64  `json:"Actual Rows"`
	Loops      float64  `json:"Actual Loops"`
	Removed    float64  `json:"Rows Removed by Filter"`
	Recheck    float64  `json:"Rows Removed by Index Recheck"`
	Plans      []pgNode `json:"Plans"`
	Subplan    string   `json:"Subplan Name"`
	ParentName string   `json:"Parent Relationship"`
}

func (p *Plan) add(n pgNode) {
	switch {
	case n.Type == "Seq Scan" && n.Relation == "events", n.Index != "" && n.Condition == "" && n.Relation == "events":
		p.Scans = append(p.Scans, fmt.Sprintf("%s on %s %s", n.Type, n.Relation, n.Index))
	case n.Type == "Sort", n.Type == "Incremental Sort":
		p.Sorts = true
	}
	if n.Relation == "events" {
		p.Rows += int64((n.Rows + n.Removed + n.Recheck) * n.Loops)
	}
	for _, inner := range n.Plans {
		p.add(inner)
	}
}
