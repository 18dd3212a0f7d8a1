// Command planted proves that the tests can fail. Each file below testdata is a
// small wrong edit of the project's code; the command applies one at a time to a
// copy (go test -overlay), runs the tests that should notice, and prints a table of
// what was planted and what caught it. It fails if a bug goes unnoticed.
//
//	go run ./internal/planted                 all of them
//	go run ./internal/planted -run chord/     those whose name matches
//	go run ./internal/planted -markdown       the table as Markdown
//
// A planted bug is a text file, named for the bug, in a folder named for the part
// of the project it belongs to:
//
//	what: a line that says what is wrong
//	test: ./chord -run TestOverlay
//	-- file dht/ring/ring.go --
//	-- old --
//	text that occurs exactly once in the file
//	-- new --
//	its replacement
//
// "test" holds the arguments of go test. The file, old and new parts may repeat. No
// production code knows of the planted bugs; an edit that no longer matches exactly
// once fails the ordinary tests, so that the two cannot drift apart.
package main
