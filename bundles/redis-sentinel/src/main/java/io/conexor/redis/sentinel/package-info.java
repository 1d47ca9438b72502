/** A connected Redisson client for a Sentinel topology. */
@NullMarked
package io.conexor.redis.sentinel;

import org.jspecify.annotations.NullMarked;
