// Takes svcauth's tokens with Nimbus JOSE + JWT (com.nimbusds:nimbus-jose-jwt, 9.37 or newer).
import com.nimbusds.jose.JOSEObjectType;
import com.nimbusds.jose.JWSAlgorithm;
import com.nimbusds.jose.jwk.source.JWKSource;
import com.nimbusds.jose.jwk.source.JWKSourceBuilder;
import com.nimbusds.jose.proc.DefaultJOSEObjectTypeVerifier;
import com.nimbusds.jose.proc.JWSVerificationKeySelector;
import com.nimbusds.jose.proc.SecurityContext;
import com.nimbusds.jwt.JWTClaimsSet;
import com.nimbusds.jwt.proc.DefaultJWTClaimsVerifier;
import com.nimbusds.jwt.proc.DefaultJWTProcessor;
import java.net.URI;
import java.util.Arrays;
import java.util.Set;

public final class Validator {
    private final DefaultJWTProcessor<SecurityContext> processor = new DefaultJWTProcessor<>();

    public Validator(String issuer, String audience) throws Exception {
        // Kept five minutes; anew for an unknown kid, at most every 30 s.
        JWKSource<SecurityContext> keys = JWKSourceBuilder.create(URI.create(issuer + "/.well-known/jwks.json").toURL())
            .cache(300_000, 15_000).rateLimited(30_000).retrying(true).build();
        processor.setJWSKeySelector(new JWSVerificationKeySelector<>(JWSAlgorithm.ES256, keys));
        processor.setJWSTypeVerifier(new DefaultJOSEObjectTypeVerifier<>(new JOSEObjectType("at+jwt")));
        DefaultJWTClaimsVerifier<SecurityContext> claims = new DefaultJWTClaimsVerifier<>(audience,
            new JWTClaimsSet.Builder().issuer(issuer).build(), Set.of("exp", "iat", "sub", "client_id", "jti"));
        claims.setMaxClockSkew(30);
        processor.setJWTClaimsSetVerifier(claims);
    }

    /** Gives the claims of a token that carries the privilege; throws what is wrong with it (BadJOSEException: 401; SecurityException: 403; else 503). */
    public JWTClaimsSet check(String token, String privilege) throws Exception {
        JWTClaimsSet claims = processor.process(token, null);
        String scope = claims.getStringClaim("scope");
        if (scope == null || !Arrays.asList(scope.split(" ")).contains(privilege)) {
            throw new SecurityException("insufficient_scope: " + privilege);
        }
        return claims;
    }
}
