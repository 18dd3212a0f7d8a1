// Package storetest is how an engine proves that it keeps the promises of package
// store. Each engine calls [TestStore] from one test.
//
// The suite has two parts: named tests, one per promise, that read as examples of
// how a store is used; and a comparison with a model made of Go maps over random
// batches, snapshots and restarts, which finds what nobody thought of. What an engine
// does when its disk fails is tested beside the engine.
package storetest
