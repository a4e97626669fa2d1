package store

import (
	"context"
	"database/sql"
	"sync"
)

// maxPrepared bounds how many statements [prepared] keeps. The texts of this
// package are constants, except for lists of placeholders and audit filters.
const maxPrepared = 200

// prepared runs the queries of SQLite's readers and plans each text only once:
// SQLite takes ten times as long to plan a query of several parts as to run it.
// pgx does the same for PostgreSQL by itself.
type prepared struct {
	*sql.DB
	mu         sync.RWMutex
	statements map[string]*sql.Stmt
}

func newPrepared(db *sql.DB) *prepared {
	return &prepared{DB: db, statements: map[string]*sql.Stmt{}}
}

// QueryContext is of [runner].
func (p *prepared) QueryContext(ctx context.Context, text string, args ...any) (*sql.Rows, error) {
	statement, err := p.statement(ctx, text)
	if statement == nil || err != nil {
		return p.DB.QueryContext(ctx, text, args...)
	}
	return statement.QueryContext(ctx, args...)
}

// statement returns nil if there are too many already.
func (p *prepared) statement(ctx context.Context, text string) (*sql.Stmt, error) {
	p.mu.RLock()
	statement, full := p.statements[text], len(p.statements) >= maxPrepared
	p.mu.RUnlock()
	if statement != nil || full {
		return statement, nil
	}
	fresh, err := p.DB.PrepareContext(ctx, text)
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if statement := p.statements[text]; statement != nil {
		return statement, fresh.Close()
	}
	p.statements[text] = fresh
	return fresh, nil
}
