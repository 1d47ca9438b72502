/** A connected Redisson client for a single server. */
@NullMarked
package io.conexor.redis.standalone;

import org.jspecify.annotations.NullMarked;
