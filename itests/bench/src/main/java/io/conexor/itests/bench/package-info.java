/** Figures beside the raw limit of the same machine in the same run; rows go to target/bench. */
@NullMarked
package io.conexor.itests.bench;

import org.jspecify.annotations.NullMarked;
