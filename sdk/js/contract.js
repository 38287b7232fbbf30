// Made of wit/v0.1 by `cargo xtask sdk`; do not edit.

/** The shapes of all that a plugin answers, by their names in the contract. */
export const shapes = {
  "after": {
    "record": {
      "attributes": {
        "is": {
          "list": {
            "tuple": [
              "string",
              "string"
            ]
          }
        }
      },
      "keepWithEvent": {
        "is": {
          "option": "bytes"
        }
      },
      "memory": {
        "is": "memory"
      },
      "nextReview": {
        "is": "next-review"
      },
      "note": {
        "is": {
          "option": "string"
        }
      }
    }
  },
  "amount": {
    "variant": {
      "base": "points",
      "bonus": "points",
      "bonus-share": "u32"
    }
  },
  "award": {
    "record": {
      "amount": {
        "is": "amount"
      },
      "attributes": {
        "is": {
          "list": {
            "tuple": [
              "string",
              "string"
            ]
          }
        }
      },
      "availableFrom": {
        "is": {
          "option": "moment"
        }
      },
      "covers": {
        "is": "coverage",
        "or": {
          "tag": "whole"
        }
      },
      "expiresAt": {
        "is": {
          "option": "moment"
        }
      },
      "onReturn": {
        "is": "on-return",
        "or": {
          "tag": "proportional"
        }
      },
      "reason": {
        "is": "string"
      },
      "to": {
        "is": "recipient",
        "or": "customer"
      }
    }
  },
  "coverage": {
    "variant": {
      "lines": {
        "list": "u32"
      },
      "whole": null
    }
  },
  "discount-offer": {
    "record": {
      "attributes": {
        "is": {
          "list": {
            "tuple": [
              "string",
              "string"
            ]
          }
        }
      },
      "code": {
        "is": "offer-code",
        "or": {
          "tag": "no-code"
        }
      },
      "key": {
        "is": "string"
      },
      "minimum": {
        "is": "money",
        "or": 0
      },
      "reason": {
        "is": "string"
      },
      "scope": {
        "is": "discount-scope",
        "or": {
          "tag": "basket"
        }
      },
      "validFrom": {
        "is": {
          "option": "moment"
        }
      },
      "validUntil": {
        "is": {
          "option": "moment"
        }
      },
      "value": {
        "is": "discount-value"
      }
    }
  },
  "discount-scope": {
    "variant": {
      "basket": null,
      "gift": "goods",
      "lines": {
        "list": "u32"
      },
      "next-goods": "goods",
      "next-purchase": null
    }
  },
  "discount-value": {
    "variant": {
      "amount": "money",
      "share": "u32"
    }
  },
  "follow-up": {
    "record": {
      "attributes": {
        "is": {
          "list": {
            "tuple": [
              "string",
              "string"
            ]
          }
        }
      },
      "cancelledBy": {
        "is": {
          "list": "string"
        }
      },
      "channel": {
        "is": "string"
      },
      "data": {
        "is": {
          "list": {
            "tuple": [
              "string",
              "value"
            ]
          }
        }
      },
      "dedupeKey": {
        "is": "string"
      },
      "expiresAt": {
        "is": {
          "option": "moment"
        }
      },
      "offer": {
        "is": {
          "option": "discount-offer"
        }
      },
      "purpose": {
        "is": "purpose"
      },
      "reason": {
        "is": "string"
      },
      "sendAt": {
        "is": {
          "option": "moment"
        }
      },
      "template": {
        "is": "string"
      }
    }
  },
  "follow-up-answer": {
    "record": {
      "after": {
        "is": "after"
      },
      "followUps": {
        "is": {
          "list": "follow-up"
        }
      },
      "prompts": {
        "is": {
          "list": "prompt"
        }
      },
      "receipt": {
        "is": {
          "list": "string"
        }
      }
    }
  },
  "goods": {
    "record": {
      "categories": {
        "is": {
          "list": "string"
        }
      },
      "collections": {
        "is": {
          "list": "string"
        }
      },
      "quantity": {
        "is": "s64"
      },
      "skus": {
        "is": {
          "list": "string"
        }
      }
    }
  },
  "instant": "s64",
  "membership-change": {
    "record": {
      "member": {
        "is": "bool"
      },
      "reason": {
        "is": "string"
      },
      "segment": {
        "is": "string"
      },
      "until": {
        "is": {
          "option": "moment"
        }
      }
    }
  },
  "memory": {
    "variant": {
      "forget": null,
      "keep": null,
      "replace": "bytes"
    }
  },
  "moment": {
    "variant": {
      "at": "instant",
      "days": "u32",
      "end-of-month": "u32",
      "end-of-year": "u32",
      "hours": "u32",
      "months": "u32"
    }
  },
  "money": "s64",
  "next-review": {
    "variant": {
      "at": "instant",
      "keep": null,
      "never": null
    }
  },
  "next-tier": {
    "record": {
      "missing": {
        "is": "s64"
      },
      "tier": {
        "is": "string"
      },
      "unit": {
        "is": "progress-unit"
      }
    }
  },
  "offer-code": {
    "variant": {
      "no-code": null,
      "shared": "string",
      "unique": "string"
    }
  },
  "on-return": {
    "variant": {
      "keep": null,
      "proportional": null,
      "whole-below": "money"
    }
  },
  "placement": {
    "record": {
      "keepUntil": {
        "is": {
          "option": "moment"
        }
      },
      "reason": {
        "is": "string"
      },
      "tier": {
        "is": {
          "option": "string"
        }
      }
    }
  },
  "point-answer": {
    "record": {
      "after": {
        "is": "after"
      },
      "awards": {
        "is": {
          "list": "award"
        }
      }
    }
  },
  "points": "s64",
  "progress-unit": {
    "enum": [
      "spend",
      "points",
      "orders"
    ]
  },
  "prompt": {
    "record": {
      "attributes": {
        "is": {
          "list": {
            "tuple": [
              "string",
              "string"
            ]
          }
        }
      },
      "discount": {
        "is": {
          "option": "discount-offer"
        }
      },
      "kind": {
        "is": "string"
      },
      "text": {
        "is": "string"
      }
    }
  },
  "purpose": {
    "enum": [
      "marketing",
      "service"
    ]
  },
  "recipient": {
    "enum": [
      "customer",
      "referrer"
    ]
  },
  "segment-answer": {
    "record": {
      "after": {
        "is": "after"
      },
      "memberships": {
        "is": {
          "list": "membership-change"
        }
      },
      "tags": {
        "is": {
          "list": "tag-setting"
        }
      }
    }
  },
  "tag-setting": {
    "record": {
      "set": {
        "is": "bool"
      },
      "tag": {
        "is": "string"
      }
    }
  },
  "tier-answer": {
    "record": {
      "after": {
        "is": "after"
      },
      "next": {
        "is": {
          "option": "next-tier"
        }
      },
      "placement": {
        "is": {
          "option": "placement"
        }
      }
    }
  },
  "value": {
    "variant": {
      "at": "instant",
      "money": "money",
      "number": "s64",
      "points": "points",
      "text": "string"
    }
  }
};

/** The answer of each role. */
export const answers = {
  "followUpTrigger": "follow-up-answer",
  "pointFormula": "point-answer",
  "segmentRule": "segment-answer",
  "tierRule": "tier-answer"
};
