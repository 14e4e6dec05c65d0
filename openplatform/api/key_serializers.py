"""Shapes of questions and answers about an app's own keys."""

from typing import Any

from rest_framework import serializers

from openplatform import app_keys
from openplatform.key_material import PEM_LENGTH_MAX, Purpose
from openplatform.key_states import AppKeyStatus
from openplatform.scopes import Scope
from openplatform.serializers import MomentField, StrictSerializer


class OfferSerializer(StrictSerializer):
    """A public key to be registered."""

    public_key_pem = serializers.CharField(max_length=PEM_LENGTH_MAX, trim_whitespace=False)
    purpose = serializers.ChoiceField(list(Purpose), required=False, default=Purpose.SIGN.value)
    scopes = serializers.ListField(
        child=serializers.ChoiceField(Scope.values), required=False, allow_empty=False, max_length=len(Scope.values),
        help_text="At most those of the key that asks. All but keys:manage when not given; none for `encrypt`.",
    )  # fmt: skip
    not_before = MomentField(required=False)
    not_after = MomentField(required=False)

    def offer(self) -> app_keys.Offer:
        data = self.validated_data
        return app_keys.Offer(**data | {"purpose": Purpose(data["purpose"])})


class ProofSerializer(StrictSerializer):
    proof = serializers.CharField(
        max_length=app_keys.PROOF_LENGTH_MAX,
        help_text="the signature of `challenge.text` in base64; for a key that decrypts, the text inside that JWE",
    )


class RetireSerializer(StrictSerializer):
    not_after = MomentField(required=False, help_text="a week from now when not given")
    force = serializers.BooleanField(required=False, default=False, help_text="also the last key with keys:manage")


class RevokeSerializer(StrictSerializer):
    force = serializers.BooleanField(required=False, default=False, help_text="also the last key with keys:manage")


class ChallengeSerializer(serializers.Serializer[Any]):
    how = serializers.ChoiceField(["sign", "decrypt"])
    text = serializers.CharField()
    expires_at = serializers.CharField()


class AppKeySerializer(serializers.Serializer[Any]):
    app_id = serializers.CharField()
    serial_no = serializers.CharField()
    purpose = serializers.ChoiceField(list(Purpose))
    algorithm = serializers.CharField()
    fingerprint = serializers.CharField()
    scopes = serializers.ListField(child=serializers.CharField())
    status = serializers.ChoiceField(AppKeyStatus.values)
    not_before = serializers.CharField()
    not_after = serializers.CharField(allow_null=True)
    last_used_at = serializers.CharField(allow_null=True)
    created_at = serializers.CharField()
    revoked_at = serializers.CharField(allow_null=True)
    challenge = ChallengeSerializer(allow_null=True, help_text="only in the answer to a registration")


class AppKeysSerializer(serializers.Serializer[Any]):
    app_id = serializers.CharField()
    keys = AppKeySerializer(many=True)
