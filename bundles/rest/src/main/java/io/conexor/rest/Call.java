package io.conexor.rest;

import io.conexor.api.access.Principal;
import io.conexor.api.access.Role;
import io.conexor.api.audit.AuditId;
import io.conexor.api.audit.AuditRecord;
import io.conexor.api.audit.AuditTrail;
import io.conexor.api.catalog.OrgId;
import io.conexor.api.http.HttpExchange;
import io.conexor.api.node.NodeId;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/** One request, who asks, and what is written about it. */
final class Call {

  final HttpExchange exchange;
  final String operation;

  /** Values of the path's placeholders, in order. */
  final List<String> path;

  /** What the session keeps; empty without one. Set once, before the operation runs. */
  Map<String, String> attributes = Map.of();

  private final AuditTrail audit;
  private final NodeId node;
  private final long startedAt = System.nanoTime();

  /** Set once, before the operation runs. */
  private @Nullable Principal principal;

  Call(HttpExchange exchange, String operation, List<String> path, AuditTrail audit, NodeId node) {
    this.exchange = exchange;
    this.operation = operation;
    this.path = path;
    this.audit = audit;
    this.node = node;
  }

  void is(Principal known) {
    principal = known;
  }

  Principal principal() {
    Principal known = principal;
    if (known == null) {
      throw new IllegalStateException("operation " + operation + " has no principal");
    }
    return known;
  }

  Optional<Principal> maybePrincipal() {
    return Optional.ofNullable(principal);
  }

  OrgId org() {
    return principal().org();
  }

  boolean isAdmin() {
    return principal() instanceof Principal.AdminToken
        || (principal() instanceof Principal.User user && user.role() == Role.ADMIN);
  }

  boolean isPerson() {
    return principal() instanceof Principal.User;
  }

  void problem(Problem problem) {
    problem
        .retryAfter()
        .ifPresent(
            wait ->
                exchange.withHeader(
                    "Retry-After", Long.toString(Math.max(1, (wait.toMillis() + 999) / 1_000))));
    if (problem.status() == 401) {
      exchange.withHeader("WWW-Authenticate", "Bearer realm=\"conexor\"");
    }
    exchange.withHeader("Cache-Control", "no-store");
    exchange.respond(
        problem.status(), Json.PROBLEM_TYPE, Json.problem(problem, exchange.requestId()));
  }

  long elapsedMicros() {
    return TimeUnit.NANOSECONDS.toMicros(System.nanoTime() - startedAt);
  }

  void audited(
      String action, AuditRecord.Outcome outcome, @Nullable String target, @Nullable String error) {
    audited(action, outcome, target, error, null, null, null, 0, 0, false);
  }

  void audited(
      String action,
      AuditRecord.Outcome outcome,
      @Nullable String target,
      @Nullable String error,
      @Nullable String source,
      @Nullable String agent,
      @Nullable String statementHash,
      int parameters,
      long rows,
      boolean truncated) {
    Principal who = principal;
    audit.record(
        new AuditRecord(
            AuditId.random(),
            Instant.now(),
            who == null ? null : who.org(),
            action,
            outcome,
            who == null ? null : who.subject(),
            exchange.remoteAddress(),
            exchange.requestId(),
            node.value(),
            who instanceof Principal.ServerKey key ? key.server().toString() : null,
            operation,
            source,
            agent,
            target,
            statementHash,
            parameters,
            rows,
            truncated,
            elapsedMicros(),
            error));
  }
}
