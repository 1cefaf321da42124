#include "db/database.h"

#include "base/text.h"

namespace bitfoundry::db {
namespace {

// A connection that lay idle for longer is tried before it is used: its server may be gone.
constexpr std::chrono::seconds kTrustIdle{1};

// The table of libpqxx exceptions is written once, here, from most to least specific. Postgres says
// some things in several lines, a message of ours is one.
Status StatusFromCurrentException() {
  try {
    throw;
  } catch (const pqxx::in_doubt_error& e) {
    return Status(Code::kUnknown, OneLine(e.what()));
  } catch (const pqxx::transaction_rollback& e) {
    return Status(Code::kAborted, OneLine(e.what()));
  } catch (const pqxx::broken_connection& e) {
    return Status(Code::kUnavailable, "DATABASE_UNAVAILABLE", "Postgres: " + OneLine(e.what()));
  } catch (const pqxx::unique_violation& e) {
    return Status(Code::kAlreadyExists, OneLine(e.what()));
  } catch (const pqxx::integrity_constraint_violation& e) {
    return Status(Code::kFailedPrecondition, OneLine(e.what()));
  } catch (const pqxx::sql_error& e) {
    // 57P0x: the server is shutting down, crashed, or is not yet up.
    if (e.sqlstate().rfind("57P0", 0) == 0) {
      return Status(Code::kUnavailable, "DATABASE_UNAVAILABLE", OneLine(e.what()));
    }
    return Status(Code::kInternal, OneLine(e.what()));
  } catch (const std::exception& e) {
    return Status(Code::kInternal, OneLine(e.what()));
  }
}

bool Answers(pqxx::connection& connection) {
  try {
    pqxx::nontransaction(connection).exec("SELECT 1");
    return true;
  } catch (const std::exception&) {
    return false;
  }
}

}  // namespace

Database::Database(std::string dsn, int max_connections)
    : dsn_(std::move(dsn)), max_connections_(max_connections) {}

std::unique_ptr<pqxx::connection> Database::Borrow() {
  std::unique_lock lock(mutex_);
  returned_.wait(lock, [&] { return borrowed_ < max_connections_; });
  ++borrowed_;
  while (!idle_.empty()) {
    Idle idle = std::move(idle_.back());
    idle_.pop_back();
    if (std::chrono::steady_clock::now() - idle.since < kTrustIdle || Answers(*idle.connection)) {
      return std::move(idle.connection);
    }
  }
  return nullptr;
}

void Database::GiveBack(std::unique_ptr<pqxx::connection> connection, bool broken) {
  const std::scoped_lock lock(mutex_);
  --borrowed_;
  if (broken) {
    idle_.clear();  // what broke one has broken them all
  } else if (connection != nullptr) {
    idle_.push_back({std::move(connection), std::chrono::steady_clock::now()});
  }
  returned_.notify_one();
}

Status Database::Run(const std::function<Status(Tx&)>& body) {
  std::unique_ptr<pqxx::connection> connection = Borrow();
  Status status;
  try {
    if (connection == nullptr) connection = std::make_unique<pqxx::connection>(dsn_);
    pqxx::work work(*connection);
    Tx tx{work};
    status = body(tx);
    if (status.ok()) work.commit();  // else ~work rolls back
  } catch (...) {
    status = StatusFromCurrentException();
  }
  const bool broken = connection == nullptr || !connection->is_open() ||
                      status.reason() == "DATABASE_UNAVAILABLE" || status.code() == Code::kUnknown;
  GiveBack(std::move(connection), broken);
  return status;
}

}  // namespace bitfoundry::db
