package io.conexor.api.catalog;

import java.time.Instant;

/**
 * A tenant.
 *
 * @param slug its name in URLs: 1 to 63 characters of {@code [a-z0-9-]}, unique, never reused
 */
public record Organisation(OrgId id, String slug, String name, Instant createdAt) {}
