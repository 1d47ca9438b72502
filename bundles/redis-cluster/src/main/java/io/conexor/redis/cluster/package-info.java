/** A connected Redisson client for a Cluster topology. */
@NullMarked
package io.conexor.redis.cluster;

import org.jspecify.annotations.NullMarked;
