// Package typescript holds the TypeScript SDK; the package itself is only its
// generator and its test.
package typescript

//go:generate npm ci --ignore-scripts --prefer-offline --no-audit --no-fund --no-update-notifier --loglevel=error
//go:generate npm run --silent generate
