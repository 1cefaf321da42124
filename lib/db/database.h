// The way to Postgres, and the only way to run SQL on it: inside a transaction.
//
// libpqxx is visible here and in the .cc files of the rooms that speak SQL (db, jobs, catalog,
// labels); their headers only forward-declare db::Tx.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <pqxx/pqxx>
#include <string>
#include <type_traits>
#include <vector>

#include "base/status.h"

namespace bitfoundry::db {

// A transaction in progress. Repositories are built over a Tx and die with it, so work done
// through several of them commits or rolls back as one.
struct Tx {
  pqxx::work& work;
};

// A pool of connections. Thread-safe; outlives every Tx it hands out. Connections are opened when
// needed, so that a service can start before its database, and dropped when they break, so that
// it outlives a restart of it.
class Database {
 public:
  // dsn              libpq connection string; a secret
  // max_connections  further callers wait for one to come back
  explicit Database(std::string dsn, int max_connections = 8);

  // Runs `body`, which takes a Tx& and returns Status or Result<T>, in one transaction: commits if
  // it returns OK, rolls back otherwise. Returns what `body` returned. READ COMMITTED.
  //
  // Errors: whatever `body` returned, or, from Postgres,
  //   kAborted             serialization failure or deadlock: run it again
  //   kUnavailable         not reachable, or lost before the commit: run it again
  //   kAlreadyExists       a unique constraint
  //   kFailedPrecondition  any other constraint (foreign key, check)
  //   kUnknown             lost during the commit: it may or may not have happened
  //   kInternal            anything else; the SQL is wrong
  template <typename Body>
  std::invoke_result_t<Body, Tx&> Transact(Body body) {
    std::optional<std::invoke_result_t<Body, Tx&>> result;
    Status status = Run([&](Tx& tx) {
      result.emplace(body(tx));
      return Status(internal::StatusOf(*result));
    });
    if (!status.ok()) return status;
    return *std::move(result);
  }

 private:
  struct Idle {
    std::unique_ptr<pqxx::connection> connection;
    std::chrono::steady_clock::time_point since;
  };

  Status Run(const std::function<Status(Tx&)>& body);
  std::unique_ptr<pqxx::connection> Borrow();
  void GiveBack(std::unique_ptr<pqxx::connection> connection, bool broken);

  const std::string dsn_;
  const int max_connections_;
  std::mutex mutex_;
  std::condition_variable returned_;
  std::vector<Idle> idle_;  // guarded by mutex_
  int borrowed_ = 0;        // guarded by mutex_
};

}  // namespace bitfoundry::db
